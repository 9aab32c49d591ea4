"""What an SDK family is."""
