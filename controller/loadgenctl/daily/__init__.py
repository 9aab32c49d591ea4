"""Following a branch."""
