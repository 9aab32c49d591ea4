"""Fuzzing by hand: runs targets under atheris one after the other, and tells what was found."""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.found import Case, keep
from tests.fuzz.guided import place_of
from tests.fuzz.target import Target, judge
from tests.fuzz.targets import TARGETS

_WORK: Final = Path("build/fuzz")
_EXECUTED: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE: Final = re.compile(r"\bcov: (\d+)")
_LENGTH: Final = 32768
"""Bytes of an input at most."""
_SLOW_S: Final = 30
"""Seconds after which one input hangs."""
_MEMORY_MIB: Final = 2048


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target."""

    executed: int
    coverage: int
    crashes: list[Path]
    ended: int
    """The exit code; not 0 also for an input that hangs or takes all memory."""


def main(words: Sequence[str]) -> int:
    """The exit code: 0; 1 if something was found; 2 for a wrong command line; 130 after Ctrl-C."""
    options = _parser().parse_args(words)
    try:
        return _do(options)
    except KeyboardInterrupt:
        sys.stderr.write(f"fuzz: ended early; what was found is in {_WORK}\n")
        return 130


def _do(options: argparse.Namespace) -> int:
    if options.replay or options.keep:
        return _replay(TARGETS[options.target], options.replay or options.keep, options.keep)
    names = list(TARGETS) if options.target == "all" else [options.target]
    worst = 0
    for name in names:
        outcome = _fuzz(TARGETS[name], options.minutes, options.seed)
        sys.stdout.write(
            f"{name}: {outcome.executed} inputs, {outcome.coverage} edges,"
            f" {len(outcome.crashes)} crashes\n"
        )
        for crash in outcome.crashes:
            sys.stdout.write(f"  {crash}\n")
        if outcome.crashes or outcome.ended:
            worst = 1
    return worst


def _fuzz(target: Target, minutes: float, seed: int) -> Outcome:
    work = _WORK / target.name
    corpus, found = work / "corpus", work / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for old in found.iterdir():
        old.unlink()
    for text in target.seeds():
        (corpus / hashlib.sha256(text).hexdigest()[:16]).write_bytes(text[:_LENGTH])
    log = work / "log.txt"
    command = [
        *(sys.executable, "-m", "tests.fuzz.guided"),
        *(target.name, str(found), ",".join(target.packages)),
        f"-max_total_time={round(minutes * 60)}",
        f"-max_len={_LENGTH}",
        f"-timeout={_SLOW_S}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        f"-seed={seed}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        str(corpus),
    ]
    sys.stderr.write(f"fuzz: {target.name} ({target.about}): {minutes:g} min; {log}\n")
    with log.open("wb") as stream:
        ended = subprocess.run(command, stdout=stream, stderr=stream, check=False).returncode
    told = log.read_text("utf-8", "replace")
    executed, coverage = _EXECUTED.findall(told), _COVERAGE.findall(told)
    # Slow ones are kept, too; one that hangs ends the search.
    crashes = sorted(
        path
        for path in found.iterdir()
        if path.suffix != ".txt" and not path.name.startswith("slow-unit-")
    )
    return Outcome(
        int(executed[-1]) if executed else 0, int(coverage[-1]) if coverage else 0, crashes, ended
    )


def _replay(target: Target, files: Sequence[Path], kept: object) -> int:
    broken = 0
    for file in files:
        data = file.read_bytes()
        about = "was mended before it was kept"
        try:
            taken = judge(target, data)
            sys.stdout.write(f"{file}: {'taken' if taken else 'refused'}\n")
        except Exception as error:  # noqa: BLE001 - that is what is asked for
            broken += 1
            about = place_of(error)
            traceback.print_exception(error)
        if kept:
            keep(Case(target.name, about, data))
    return 1 if broken else 0


def _minutes(text: str) -> float:
    minutes = float(text)
    # The fuzzer takes a limit of 0 seconds for none.
    if not 1 / 60 <= minutes <= 100_000:
        raise ValueError(text)
    return minutes


def _parser() -> argparse.ArgumentParser:
    targets = "\n".join(f"  {target.name:<12}{target.about}" for target in TARGETS.values())
    parser = argparse.ArgumentParser(
        prog="bin/fuzz",
        description="Look for inputs that end in anything but an answer or a refusal.",
        epilog=f"targets:\n{targets}\n\nInputs, crashes and logs are in {_WORK}/TARGET.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=[*TARGETS, "all"], metavar="TARGET|all")
    parser.add_argument(
        "--minutes", type=_minutes, default=10.0, help="for each target (%(default)g)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the search (%(default)s)")
    files = parser.add_mutually_exclusive_group()
    for word, about in (("--replay", "run inputs"), ("--keep", "keep them for the tests, too")):
        files.add_argument(word, type=Path, nargs="+", metavar="FILE", help=about)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
