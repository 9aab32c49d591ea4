"""Chains that others run: reading their origin, and publishing the origin of a local chain."""
