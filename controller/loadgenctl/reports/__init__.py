"""Summaries for people and tools."""
