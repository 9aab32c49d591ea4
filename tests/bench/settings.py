"""What a measurement is told, and the slogs it is made on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.measure import PYTHON, BenchError, run

LONG_SLOG: Final = "long.slog"
"""The name of what `make_long_slog` makes in the scratch folder."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of bin/bench."""

    slog: Path
    """A real slog; long ones are made of it."""
    original: Path | None
    """A checkout of the original load generator with its packages; None: it is not measured."""
    node: str
    megabytes: int
    rounds: int
    scratch: Path
    """A folder that is removed at the end."""

    def make_long_slog(self, megabytes: int) -> None:
        """Make a slog of so many megabytes in the scratch folder."""
        if not self.slog.is_file():
            raise BenchError(f"{self.slog} is not there; name a real slog with --slog")
        if shutil.disk_usage(self.scratch).free < megabytes * 2e6:
            raise BenchError(f"{self.scratch} has too little room; name another with --scratch")
        made = self.scratch / LONG_SLOG
        # By a process of its own: the memory of this one is the least that a child's peak can show.
        run([PYTHON, "-m", "tests.lengthen_slog", self.slog, made, str(megabytes)])
