"""Comparison and thresholds."""
