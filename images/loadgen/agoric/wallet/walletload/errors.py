"""Errors of a cycle."""

from __future__ import annotations


class LoadError(Exception):
    """A cycle, a preparation or the driver cannot continue; the message is for a person."""


class ChainError(LoadError):
    """The chain's RPC did not answer, or refused a request."""
