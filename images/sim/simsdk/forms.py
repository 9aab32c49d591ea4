"""The forms in which SDKs have written their slogs, each told by what it has.

2021     spring 2021: `time` first, the bootstrap an end-block, replays by events of their own
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
    """What the slogs of an age have."""

    monotime: bool = False
    """`type` first, the times last, a bootstrap block of its own, replays with a flag, cranks, runs
    of the kernel with beans, commits with the process's memory."""
    phases: bool = False
    """Runs have phases, core proposals run in the first block, vats have heap snapshots, blocks and
    commits tell queues and times."""
    seconds: bool = False
    """Events that end something have `seconds`, blocks tell their lag and the actions by type."""


FORMS = {
    "2021": Form(),
    "2022": Form(monotime=True),
    "2024": Form(monotime=True, phases=True),
    "modern": Form(monotime=True, phases=True, seconds=True),
}
