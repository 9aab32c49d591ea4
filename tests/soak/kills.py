"""SIGKILL of the controller at random moments of a run: what is left, and what can be read."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.soak import doing
from tests.soak.cases import SETTINGS
from tests.soak.check import unreadable
from tests.soak.engine import left_by
from tests.soak.slogs import blocks_in
from tests.soak.soak import SWEEPING

from loadgenctl.owner import Owner

OPTIONS: Final = (
    *("run", "--quiet", "--sdk", "sim", "--stages", "3", "--stage.duration", "0.08"),
    *("--stage.0.duration", "0.03", "--stage.2.duration", "0.03"),
    *("--stage.loadgen.faucet.interval", "1", "--sample-interval", "1"),
)


@dataclass(frozen=True, slots=True)
class Kill:
    """A run that was killed."""

    number: int
    after: float
    """Seconds from its start to the signal."""
    step: str | None
    """What it was doing, as its folder tells; None without a folder."""
    left: int
    """What stood on the engine before the next command."""
    blocks: int
    """That stand in its slogs."""
    wrong: tuple[str, ...]


@dataclass(slots=True)
class Killed:
    """All of them."""

    seed: int
    wanted: int
    whole: float = 0.0
    """Seconds of the run that was left alone."""
    began: float = field(default_factory=time.time)
    kills: list[Kill] = field(default_factory=list)
    too_late: int = 0
    """Runs that had ended before the signal; they were done again."""
    interrupted: bool = False

    @property
    def good(self) -> int:
        """How many left nothing and could be read."""
        return sum(not kill.wrong for kill in self.kills)


def moments(seed: int, whole: float) -> Callable[[], float]:
    """Seconds after a run's start, evenly drawn up to its usual length; pure."""
    luck = random.Random(f"kills/{seed}")
    return lambda: luck.uniform(0, whole)


def missing(standing: set[tuple[int, int]], told: set[tuple[int, int]]) -> list[str]:
    """What to say of blocks that stand in a slog and are not counted; pure."""
    lost = sorted(standing - told)
    return [f"{len(lost)} blocks of the slog are not counted: {lost[:5]}"] if lost else []


def kill_all(seed: int, count: int, work: Path) -> Killed:
    """So many runs, each killed. Ctrl-C ends it; what was found until then is returned.

    Raises `SoakError` if the run that is left alone does not pass.
    """
    killed = Killed(seed, count)
    try:
        killed.whole = _undisturbed(work)
        draw = moments(seed, killed.whole)
        while len(killed.kills) < count:
            kill = _one(len(killed.kills) + 1, draw(), work)
            if kill is None:
                killed.too_late += 1
                continue
            killed.kills.append(kill)
            _tell(kill, count, work)
    except KeyboardInterrupt:
        killed.interrupted = True
        # The last one may have been killed and not swept yet.
        doing.command(work, *SWEEPING)
    return killed


def _arguments(work: Path, folder: Path) -> list[str]:
    settings = work / "sim.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    return [*OPTIONS, "--sim-config", str(settings), "--output-dir", str(folder)]


def _undisturbed(work: Path) -> float:
    folder, began = work / "whole", time.monotonic()
    code, said = doing.command(work, *_arguments(work, folder))
    if code:
        raise doing.SoakError(f"the run that is left alone ended with {code}:\n{said}")
    shutil.rmtree(folder)
    return time.monotonic() - began


def _one(number: int, after: float, work: Path) -> Kill | None:
    """A run killed, swept and read; None if it ended before the signal."""
    folder = work / f"killed-{number}"
    child, owner = doing.start(work, work / "killed.txt", *_arguments(work, folder))
    with doing.stopped(child):
        try:
            child.wait(after)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        else:
            shutil.rmtree(folder, ignore_errors=True)
            return None
    return _seen(number, after, folder, owner, work)


def _seen(number: int, after: float, folder: Path, owner: Owner, work: Path) -> Kill:
    owners = frozenset({owner})
    left = len(left_by(owners))
    code, said = doing.command(work, *SWEEPING)
    wrong = [f"the next command ended with {code}: {said}"] if code else []
    still = left_by(owners)
    wrong += [f"left: {', '.join(still)}"] if still else []
    standing: set[tuple[int, int]] = set()
    step = None
    if folder.is_dir():
        step = _document(folder / "status.json").get("step")
        standing = blocks_in(folder)
        wrong += unreadable(folder)
        wrong += missing(standing, _told(folder))
    kill = Kill(number, round(after, 2), step, left, len(standing), tuple(wrong))
    if not wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return kill


def _told(folder: Path) -> set[tuple[int, int]]:
    """(stage, height) of the rows of blocks.jsonl."""
    try:
        lines = (folder / "blocks.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    rows = map(json.loads, lines)
    return {(row["stage"], row["blockHeight"]) for row in rows}


def _document(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _tell(kill: Kill, count: int, work: Path) -> None:
    with (work / "kills.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(kill)) + "\n")
    how = "as expected" if not kill.wrong else f"WRONG: {'; '.join(kill.wrong)}"
    sys.stderr.write(
        f"soak: kill {kill.number} of {count} after {kill.after:.1f} s, at"
        f" {kill.step or 'the start, no folder yet'}: {kill.left} things swept,"
        f" {kill.blocks} blocks, {how}\n"
    )
    sys.stderr.flush()
