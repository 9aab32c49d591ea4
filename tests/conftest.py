"""Fixtures for all tests, and the rule that the Docker tests fail, not skip, where no engine answers."""
