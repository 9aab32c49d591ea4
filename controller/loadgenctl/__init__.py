"""loadgenctl: measure how a blockchain SDK revision performs under load."""
