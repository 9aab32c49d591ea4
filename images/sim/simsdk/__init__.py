"""The simulated SDK: the process contract of a real blockchain SDK, without the blockchain."""

VERSION = "1.0.0"
