"""The version of this package, as recorded with every run."""

VERSION = "0.1.0"
