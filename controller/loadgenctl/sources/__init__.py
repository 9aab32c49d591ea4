"""Where an SDK comes from."""
