"""Programs run one at a time, and what each took."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PYTHON: Final = sys.executable


class BenchError(Exception):
    """A measurement that cannot be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One run of a program and of all that it started."""

    wall_s: float
    cpu_s: float
    """User and system time."""
    peak_mb: float
    """Peak resident memory in 10^6 bytes; what this process has itself is the least it can show."""
    output: bytes


def run(argv: Sequence[str | Path], stdout: Path | None = None) -> Usage:
    """Run a program to its end, in the checkout. Raises `BenchError` if it fails."""
    words = [str(word) for word in argv]
    with Path(stdout or os.devnull).open("wb") as file:
        begin = time.perf_counter()
        try:
            child = subprocess.Popen(
                words,
                cwd=ROOT,
                start_new_session=True,  # Ctrl-C reaches this process alone, which ends the child
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout is None else file,
            )
        except OSError as error:
            raise BenchError(f"{words[0]} cannot be run: {error.strerror}") from error
        try:
            output = b"" if child.stdout is None else child.stdout.read()
            _, status, used = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.stdout is not None:
            child.stdout.close()
    if child.returncode:
        raise BenchError(f"exit code {child.returncode} of {' '.join(words)}")
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6, output)


Program = Callable[[], Usage]


def in_turns(programs: dict[str, Program], rounds: int) -> dict[str, list[Usage]]:
    """Run all programs one after the other, so many times: what slows one slows its neighbours."""
    taken: dict[str, list[Usage]] = {name: [] for name in programs}
    for number in range(rounds):
        for name, program in programs.items():
            sys.stderr.write(f"bench: {name}, {number + 1} of {rounds}\n")
            taken[name].append(program())
    return taken


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some numbers, and their range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of one number or more."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        """As a cell of a table: `1.23 (1.20 to 1.31)`."""
        median, low, high = (f"{x:.{digits}f}" for x in (self.median, self.low, self.high))
        return f"{median} ({low} to {high})"


def walls(taken: Sequence[Usage]) -> list[float]:
    """Wall times in s."""
    return [usage.wall_s for usage in taken]


def cpus(taken: Sequence[Usage]) -> list[float]:
    """CPU times in s."""
    return [usage.cpu_s for usage in taken]


def peak(taken: Sequence[Usage]) -> float:
    """The highest memory peak, in MB."""
    return max(usage.peak_mb for usage in taken)


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Quotients round by round."""
    return Spread.of([a / b for a, b in zip(above, below, strict=True)])
