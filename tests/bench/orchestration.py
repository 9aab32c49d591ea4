"""The part `orchestration`: what a run itself takes beside the chain it measures.

To be written here: `measure` returns the section's lines, as in the other parts.
"""

from __future__ import annotations

from tests.bench.measure import NotMeasured
from tests.bench.settings import Settings


def measure(settings: Settings) -> list[str]:
    """Raise `NotMeasured`."""
    raise NotMeasured("what the orchestration of a run takes is not measured yet")
