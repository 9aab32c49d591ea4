"""The part `cli`: how soon the program answers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.bench.measure import PYTHON, Spread, in_turns, run, walls
from tests.bench.report import table
from tests.bench.settings import Settings

ROUNDS: Final = 10


def measure(settings: Settings) -> list[str]:
    """Return the section's lines."""
    program = Path(PYTHON).with_name("loadgenctl")
    taken = in_turns(
        {
            "`loadgenctl --help`": lambda: run([program, "--help"]),
            "`python -c pass`": lambda: run([PYTHON, "-c", "pass"]),
        },
        ROUNDS,
    )
    targets = {"`loadgenctl --help`": "0.3 or less"}
    rows = [
        [name, Spread.of(walls(usages)).text(3), targets.get(name, "")]
        for name, usages in taken.items()
    ]
    return [
        f"Each {ROUNDS} times, alternating.",
        "",
        *table(["command", "wall, s", "target"], rows),
    ]
