"""Waiting for what comes by itself, in tests with real processes and engines."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds until a condition must hold: more than a loaded machine needs."""
LOOK = 0.02
"""Seconds between two looks."""


def eventually(
    condition: Callable[[], bool],
    what: str = "what is waited for",
    *,
    timeout: float = PATIENCE,
    evidence: Callable[[], str] = lambda: "",
) -> None:
    """Look until the condition holds; after `timeout` seconds fail with `what` and the evidence."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}\n{evidence()}"
        time.sleep(LOOK)
