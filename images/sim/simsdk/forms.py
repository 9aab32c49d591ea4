"""The forms in which SDKs have written their slogs, and what each has.

2021     spring 2021: `time` first, the bootstrap an end-block, replays with their own events
2022     autumn 2022: `monotime`, bootstrap events, replay flags, cranks, runs, commits
2024     end of 2024: phases of runs, core proposals in block 1, heap snapshots, queue lengths
modern   since March 2025: `seconds`, `cosmic-swingset-init`, counts of actions, times of blocks
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = Any


@dataclass(frozen=True)
class Form:
    """The properties of a form."""

    monotime: bool = False
    """`type` first, times last, a separate bootstrap block, replays with a flag, cranks, runs of
    the kernel with beans, commits with the process's memory.
    """
    phases: bool = False
    """Runs have phases, core proposals run in the first block, vats have heap snapshots, blocks and
    commits have queues and times.
    """
    seconds: bool = False
    """End events have `seconds`, blocks have their lag and the actions by type."""


FORMS = {
    "2021": Form(),
    "2022": Form(monotime=True),
    "2024": Form(monotime=True, phases=True),
    "modern": Form(monotime=True, phases=True, seconds=True),
}
