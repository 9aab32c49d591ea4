"""`bin/bench [PART…]`: measures loadgenctl and writes what it finds into docs/performance.md."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.bench import cli, linear, orchestration, slog
from tests.bench.measure import ROOT, BenchError, run
from tests.bench.report import put
from tests.bench.settings import Settings

PARTS: Final[dict[str, Callable[[Settings], list[str]]]] = {
    "slog": slog.measure,
    "linear": linear.measure,
    "cli": cli.measure,
    "orchestration": orchestration.measure,
}
DOCUMENT: Final = ROOT / "docs" / "performance.md"
_DATA: Final = os.environ.get("LOADGENCTL_DATA", ROOT.parent / "shared" / "data")


def main(words: Sequence[str]) -> int:
    """Return the exit code: 0, or 2 if something could not be measured."""
    options = _parser().parse_args(words)
    worst = 0
    with tempfile.TemporaryDirectory(prefix="loadgenctl-bench-", dir=options.scratch) as scratch:
        settings = Settings(
            slog=options.slog.resolve(),
            original=options.original,
            node=options.node,
            megabytes=options.megabytes,
            rounds=options.rounds,
            scratch=Path(scratch),
        )
        for part in options.parts or PARTS:
            try:
                lines = [*PARTS[part](settings), "", _taken_on(settings, part)]
                if not options.print:
                    put(DOCUMENT, part, lines)
            except BenchError as error:
                sys.stderr.write(f"bench: {part}: {error}\n")
                worst = 2
            else:
                sys.stdout.write("\n".join([f"{part}:", "", *lines, "", ""]))
    return worst


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", type=_part, help=f"{', '.join(PARTS)}; all if none")
    add(
        "--slog",
        type=Path,
        metavar="FILE",
        default=Path(_DATA) / "chain-stage-1.slog.gz",
        help="a real slog, of which long ones are made (%(default)s)",
    )
    add(
        "--original",
        type=Path,
        metavar="DIR",
        help="a checkout of the original load generator, its runner's packages installed",
    )
    add("--node", metavar="FILE", default="node", help="what runs it; it was made for 14 and 16")
    add("--megabytes", type=_number, metavar="N", default=500, help="of the slog (%(default)s)")
    add("--rounds", type=_number, metavar="N", default=5, help="of the scans (%(default)s)")
    add("--scratch", type=Path, metavar="DIR", help="where there is room for the slogs")
    add("--print", action="store_true", help="write nothing into docs/performance.md")
    return parser


def _part(name: str) -> str:
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"there is no part {name!r} ({', '.join(PARTS)})")
    return name


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _taken_on(settings: Settings, part: str) -> str:
    """When and on what."""
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    words = [f"Measured on {today}: {_processor()}, {os.cpu_count()} cores"]
    words.append(f"Python {platform.python_version()}")
    if part == "slog" and settings.original is not None:
        version = run([settings.node, "--version"]).output.decode().strip()
        words.append(f"Node {version}")
    return ", ".join(words) + "."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
