"""Chains that others run: what an origin says of them, and what our own chain says to others."""
