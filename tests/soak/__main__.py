"""`bin/soak`: runs of the simulated SDK for hours, with faults drawn from a seed."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.soak.report import soak_lines
from tests.soak.soak import soak
from tests.soak.verdict import judge

from loadgenctl.errors import LoadgenError


def main(words: Sequence[str]) -> int:
    """The exit code: 0; 1 if a run was not as expected or something leaks; 2 bad usage."""
    options = _parser().parse_args(words)
    report = options.report.resolve() if options.report else None
    work = options.work or Path(tempfile.mkdtemp(prefix="loadgenctl-soak-"))
    work.mkdir(parents=True, exist_ok=True)
    work = work.resolve()
    os.chdir(work)  # no loadgenctl.toml of the caller's
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also where a shell that started it in the background had SIGINT ignored.
        signal.signal(number, signal.default_int_handler)
    sys.stderr.write(f"soak: works in {work}\n")
    taken = soak(options.seed, options.hours, work)
    verdict = judge(taken.counts)
    lines = soak_lines(taken, verdict)
    text = "\n".join([*lines, ""])
    if report is not None:
        report.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 1 if taken.wrong or verdict.complaints else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/soak", description=__doc__)
    add = parser.add_argument
    add("--hours", type=float, default=2.0, metavar="X", help="how long (%(default)s)")
    add("--seed", type=int, default=1, metavar="N", help="of the faults (%(default)s)")
    add("--report", type=Path, metavar="FILE", help="write the report there, in Markdown")
    add("--work", type=Path, metavar="DIR", help="where the runs' folders are; a temporary one")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LoadgenError as error:
        sys.stderr.write(f"soak: {error.message}\n")
        sys.exit(error.exit_code)
