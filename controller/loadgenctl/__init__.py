"""loadgenctl: measure how a blockchain SDK revision performs under load."""

__version__ = "0.1.0"
