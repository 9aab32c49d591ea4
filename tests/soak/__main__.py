"""Runs of the simulated SDK for hours, with faults drawn from a seed; or killed, so many times."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.soak import soak
from tests.soak.doing import SoakError
from tests.soak.kills import kill_all
from tests.soak.report import kills_lines, soak_lines
from tests.soak.verdict import judge

from loadgenctl.errors import LoadgenError

INTERRUPTED: Final = 130


def main(words: Sequence[str]) -> int:
    """The exit code: 0; 1 if a run was not as expected or something leaks; 2 if it cannot be done;
    130 if it was ended early and nothing was wrong so far.
    """
    options = _parser().parse_args(words)
    report = None if options.report is None else _writable(options.report)
    if options.work is not None:
        options.work.mkdir(parents=True, exist_ok=True)
    # A folder of its own each time: results folders are never written into twice.
    work = Path(tempfile.mkdtemp(prefix="loadgenctl-soak-", dir=options.work)).resolve()
    os.chdir(work)  # where no loadgenctl.toml is
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where a shell that started it in the background had SIGINT ignored.
        signal.signal(number, signal.default_int_handler)
    sys.stderr.write(f"soak: works in {work}\n")
    lines, code = (
        _kills(options.kills, options.seed, work)
        if options.kills
        else _soak(options.hours, options.seed, work)
    )
    text = "\n".join([*lines, ""])
    if report is not None:
        report.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    if code == 1:
        sys.stderr.write(f"soak: what was not as expected is kept in {work}\n")
    else:
        shutil.rmtree(work)
    return code


def _writable(file: Path) -> Path:
    """The report's whole path, found out before the hours and not after. Raises `SoakError`."""
    try:
        file.open("a", encoding="utf-8").close()
    except OSError as error:
        raise SoakError(f"the report {file} cannot be written: {error.strerror}") from error
    return file.resolve()


def _soak(hours: float, seed: int, work: Path) -> tuple[list[str], int]:
    taken = soak.soak(seed, hours, work)
    verdict = judge(taken.counts)
    bad = taken.wrong or verdict.complaints or taken.stopped not in {None, soak.INTERRUPTED}
    return soak_lines(taken, verdict), 1 if bad else INTERRUPTED if taken.stopped else 0


def _kills(count: int, seed: int, work: Path) -> tuple[list[str], int]:
    killed = kill_all(seed, count, work)
    bad = killed.good < len(killed.kills)
    return kills_lines(killed), 1 if bad else INTERRUPTED if killed.interrupted else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/soak", description=__doc__)
    add = parser.add_argument
    add("--hours", type=_hours, default=2.0, metavar="X", help="how long (%(default)s)")
    add("--seed", type=int, default=1, metavar="N", help="of the faults (%(default)s)")
    add(
        "--kills",
        type=_count,
        metavar="N",
        help="instead: kill the controller of N runs at random moments, and look what is left",
    )
    add("--report", type=Path, metavar="FILE", help="write the report there, in Markdown")
    add("--work", type=Path, metavar="DIR", help="where the runs' folders are; a temporary one")
    return parser


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of hours")
    return hours


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (LoadgenError, SoakError) as error:
        sys.stderr.write(f"soak: {error}\n")
        sys.exit(2)
