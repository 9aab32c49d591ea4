"""From options to a plan; pure."""
