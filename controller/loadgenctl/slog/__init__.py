"""The chain's structured log."""
