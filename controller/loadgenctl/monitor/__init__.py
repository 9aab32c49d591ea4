"""What containers and processes use."""
