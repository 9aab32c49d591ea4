"""The soak: run after run until its time is over, each checked and counted after."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from tests.soak import doing
from tests.soak.cases import Case, cases
from tests.soak.check import judged, unreadable
from tests.soak.engine import left_by
from tests.soak.verdict import Count

from loadgenctl.errors import LoadgenError
from loadgenctl.owner import Owner

SWEEPING: Final = ("sdk", "build", "--sdk", "sim", "--quiet")
"""A command that sweeps and ends at once."""
INTERRUPTED: Final = "interrupted"
ROOM: Final = 2 * 10**9
"""Bytes of disk below which the soak does not go on."""


@dataclass(slots=True)
class Taken:
    """What the soak has found so far."""

    seed: int
    began: float = field(default_factory=time.time)
    ended: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One per run: number, kind, child, seconds, exit code, wrong, acted."""
    counts: list[Count] = field(default_factory=list)
    stopped: str | None = None
    """Why it ended before its time."""

    @property
    def wrong(self) -> list[dict[str, Any]]:
        """The runs that did not end as expected."""
        return [row for row in self.rows if row["wrong"]]


class Asked:
    """Whether an end was asked for, also where a run that was just failing took the signal."""

    def __init__(self) -> None:
        """From now on, in the main thread."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def __call__(self) -> bool:
        """True if a SIGINT or SIGTERM came since the last call."""
        try:
            came = os.read(self._read, 4096)
        except BlockingIOError:
            return False
        return bool({signal.SIGINT, signal.SIGTERM} & set(came))

    def close(self) -> None:
        """Listen no more."""
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)


def soak(seed: int, hours: float, work: Path) -> Taken:
    """Run after run. Whatever ends it before its time, what was found until then is returned."""
    taken, asked = Taken(seed), Asked()
    deadline = time.monotonic() + hours * 3600
    try:
        for case in cases(seed):
            if time.monotonic() >= deadline:
                break
            if shutil.disk_usage(work).free < ROOM:
                taken.stopped = "the disk is nearly full"
                break
            if not _one(case, work, taken) or asked():
                taken.stopped = INTERRUPTED
                break
    except KeyboardInterrupt:
        taken.stopped = INTERRUPTED
        # A child may have been killed and not swept yet.
        doing.command(work, *SWEEPING)
    except (doing.SoakError, LoadgenError) as error:
        taken.stopped = str(error)
    finally:
        asked.close()
    taken.ended = time.time()
    return taken


def _one(case: Case, work: Path, taken: Taken) -> bool:
    """A run, checked and counted; False if a person ended it."""
    owners = {Owner.current()}
    try:
        done = doing.as_child(case, work) if case.child else doing.inside(case, work)
    except KeyboardInterrupt:
        raise
    except Exception as error:  # noqa: BLE001 - a defect is what is looked for
        wrong, seconds, code, acted = [f"it raised {error!r}"], 0.0, None, False
        folder, said = work / f"run-{case.number}", repr(error)
        reason = None
    else:
        folder, said, seconds = done.folder, done.said, done.seconds
        code, acted = done.exit_code, done.acted
        if not case.child and code == 130:
            return False
        owners.add(done.owner)
        status = done.status
        reason = status.get("reason")
        wrong = judged(case.expected, code, status, acted=acted)
        if code < 0:
            swept, text = doing.command(work, *SWEEPING)
            wrong += [f"the sweeping command ended with {swept}: {text}"] if swept else []
        wrong += unreadable(folder) if folder.is_dir() or not code < 0 else []
    left = left_by(frozenset(owners))
    wrong += [f"left: {', '.join(left)}"] if left else []
    count = _count(case.number, len(left))
    taken.counts.append(count)
    row = {
        "number": case.number,
        "kind": case.kind,
        "child": case.child,
        "acted": acted,
        "seconds": round(seconds, 1),
        "exit_code": code,
        "reason": reason,
        "wrong": wrong,
        "time": round(time.time(), 1),
        **asdict(count),
    }
    taken.rows.append(row)
    with (work / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    _keep(case, folder, work, said, wrong)
    _tell(row)
    return True


def _keep(case: Case, folder: Path, work: Path, said: str, wrong: list[str]) -> None:
    """The folder of what went wrong, and what was said; nothing of the others."""
    if not wrong:
        shutil.rmtree(folder, ignore_errors=True)
        return
    evidence = work / f"wrong-{case.number}"
    evidence.mkdir(exist_ok=True)
    (evidence / "said.txt").write_text(said, encoding="utf-8")
    (evidence / "case.json").write_text(json.dumps(asdict(case), indent=1), encoding="utf-8")
    if folder.is_dir():
        folder.rename(evidence / "run")


def _count(number: int, left: int) -> Count:
    """What this process holds now."""
    gc.collect()
    me = psutil.Process()
    with os.scandir("/proc/self/fd") as entries:
        # One of them is the listing itself.
        fds = sum(1 for _ in entries) - 1
    return Count(number, left, fds, me.num_threads(), me.memory_info().rss // 1024)


def _tell(row: dict[str, Any]) -> None:
    how = "as expected" if not row["wrong"] else f"WRONG: {'; '.join(row['wrong'])}"
    late = "" if row["acted"] else " (too late)"
    sys.stderr.write(
        f"soak: {row['number']:>3} {row['kind']}{late}: exit {row['exit_code']} after"
        f" {row['seconds']:.0f} s, {how}; left {row['left']}, fds {row['fds']},"
        f" threads {row['threads']}, {row['rss_kib'] / 1024:.1f} MiB\n"
    )
    sys.stderr.flush()
