"""Runs one after the other: the service that follows a branch, and lists of revisions."""
