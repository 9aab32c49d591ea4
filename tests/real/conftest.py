"""Fixtures of the tests on the real SDK; a desk as the integration tests have it."""

from __future__ import annotations

from tests.integration.conftest import desk

__all__ = ["desk"]
