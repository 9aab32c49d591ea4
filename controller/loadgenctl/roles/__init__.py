"""The life of a role."""
