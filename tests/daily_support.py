"""`daily` and `queue` on fakes: a clock, a branch, and runs that end as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import FakeClock

from loadgenctl.daily.branch_service import PREFIX, BranchService, FollowOptions
from loadgenctl.daily.journal import Journal
from loadgenctl.daily.make_attempt import CONSOLE, Attempts, RunRequest
from loadgenctl.daily.pruning import Pruner, Retention
from loadgenctl.errors import Interrupted
from loadgenctl.model import ResolvedRevision
from loadgenctl.owner import Owner
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.leftovers import SweepResult
from loadgenctl.sources.sdk_cache import SdkCache

RUN_SECONDS = 600.0
POLL = 1000.0
RETRY = 100.0
OUTCOMES = {
    "passed": 0,
    "error": 1,
    "failed": 4,
    "died": 4,
    "interrupted": 130,
    "build": 3,
}
RAW = ("chain-stage-0.slog.gz", "chain-storage-stage-0.tar.zst", "samples.jsonl", "build.log")


def commit(number: int) -> str:
    """The full id of a made-up commit."""
    return f"{number:02x}" * 20


def revision(number: int, requested: str = "HEAD") -> ResolvedRevision:
    """A made-up revision."""
    one = commit(number)
    return ResolvedRevision("agoric", requested, one, 1_600_000_000 + number, one, "/sdk.git")


@dataclass
class Runs:
    """Implements `Execute`: the endings of each commit's runs, one after the other; then they pass.

    An ending is a key of OUTCOMES, `no-status` (ended with 2 before there were results), `killed`
    (its process is gone), `slow` (nothing but time), an exit code (of a run that leaves nothing),
    or an exception.
    """

    clock: FakeClock
    interrupts: Interrupts
    endings: dict[str, list[str | int | Exception]] = field(default_factory=dict)
    requests: list[RunRequest] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    """Of the results, in the same order."""
    times: list[float] = field(default_factory=list)
    """When each began, on the monotonic clock."""
    kib: int = 0
    """Of each file of raw data."""
    while_running: Callable[[RunRequest, Path], None] = lambda request, folder: None

    def __call__(self, request: RunRequest, folder: Path) -> int:
        self.requests.append(request)
        self.folders.append(folder)
        self.times.append(self.clock.monotonic())
        endings = self.endings.get(request.commit, [])
        ending = endings.pop(0) if endings else "passed"
        # As the real one: a request to stop reaches the run, and is raised after its end.
        with self.interrupts.handed_on(lambda name: None):
            self.while_running(request, folder)
            self.clock.advance(RUN_SECONDS)
        if isinstance(ending, Exception):
            raise ending
        if isinstance(ending, int):
            return ending
        if ending == "no-status":
            (folder / CONSOLE).write_text("starting\nerror: no engine answers\nhint: x\n")
            return 2
        if self.interrupts.requested:
            ending = "interrupted"
        self._leave(folder, ending)
        return OUTCOMES.get(ending, 137)

    def _leave(self, folder: Path, ending: str) -> None:
        now = self.clock.wall()
        status: dict[str, Any] = {"outcome": ending, "updated_at": now}
        if ending == "killed":
            gone = Owner.current()
            status = {
                "outcome": "running",
                "updated_at": now - RUN_SECONDS,
                "owner": {"pid": gone.pid, "start": "long-ago", "host": gone.host},
            }
        elif ending == "swept":
            status |= {"outcome": "interrupted", "exit_code": None}
        else:
            outcome = "failed" if ending == "build" else ending
            reason = None if ending == "passed" else f"it {ending}"
            code = OUTCOMES[ending]
            status |= {"outcome": outcome, "exit_code": code, "finished_at": now, "reason": reason}
        (folder / "run.json").write_text("{}")
        (folder / "summary.json").write_text("{}")
        for name in RAW if self.kib else ():
            (folder / name).write_bytes(b"\xa5" * 1024 * self.kib)
        (folder / "status.json").write_text(json.dumps(status))

    @property
    def done(self) -> list[str]:
        """The commits, shortened to their number, in the order in which they were run."""
        return [str(int(request.commit[:2], 16)) for request in self.requests]


class Branch:
    """A branch whose newest revision a test moves on; an exception is raised in its place."""

    def __init__(self, number: int = 1) -> None:
        self.now: int | Exception = number
        self.looks = 0

    def __call__(self) -> ResolvedRevision:
        self.looks += 1
        if isinstance(self.now, Exception):
            raise self.now
        return revision(self.now)

    def moves(self, now: int | Exception) -> Callable[[], None]:
        """For `FakeClock.at`."""

        def move() -> None:
            self.now = now

        return move


class Desk:
    """A working directory, and what works in it; `again` is the next start of the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.branch = Branch()
        self.said: list[str] = []
        self.retention = Retention(keep=10)
        self.builds = SdkCache(folder / "cache" / "sdk")
        self.limit = 3
        self.options: tuple[str, ...] = ("--stages", "1")
        self.not_ready: Exception | None = None
        self.left: list[str] = []
        """What a sweep would remove from the engine."""
        self.interrupts = Interrupts()
        self.runs = Runs(self.clock, self.interrupts)
        self.journal = Journal(folder / "daily.jsonl", self.clock, self.said.append)

    def attempts(self) -> Attempts:
        """Where attempts are made."""
        return Attempts(self.folder, self.clock, self.runs, self.journal, self.sweep)

    def service(self) -> BranchService:
        """The service, begun now; nobody has asked it to stop."""
        self.interrupts = self.runs.interrupts = Interrupts()
        return BranchService(
            options=FollowOptions("main", "/sdk.git", self.options, POLL, self.limit, RETRY),
            attempts=self.attempts(),
            pruner=self.pruner(self.retention),
            journal=self.journal,
            clock=self.clock,
            newest=self.branch,
            ready=self.ready,
            check=self.check,
        )

    def pruner(self, retention: Retention) -> Pruner:
        """The service's pruner, with another retention."""
        return Pruner(self.folder, PREFIX, retention, self.clock, self.builds)

    def follow(self, seconds: float) -> None:
        """Follow the branch, and end by SIGTERM after so many seconds."""
        service = self.service()
        self.clock.after(seconds, lambda: self.interrupts.request("SIGTERM"))
        try:
            service.forever()
        except Interrupted:
            return

    def check(self) -> None:
        """See `Service.check`."""
        self.interrupts.check()

    def sweep(self) -> SweepResult:
        """See `Attempts.sweep`."""
        self.ready()
        left, self.left = self.left, []
        return SweepResult(removed=tuple(left))

    def ready(self) -> None:
        """See `Service.ready`."""
        if self.not_ready is not None:
            raise self.not_ready

    def folders(self) -> list[str]:
        """The attempts that are there, by number of the commit."""
        found = self.folder.glob(f"{PREFIX}*/attempt-*")
        return sorted(f"{int(one.parent.name[-2:], 16)}/{one.name}" for one in found)

    def attempt(self, number: int, attempt: int = 1) -> Path:
        """The folder of an attempt."""
        return self.folder / f"{PREFIX}{commit(number)[:12]}" / f"attempt-{attempt}"

    def outcome(self, number: int, attempt: int = 1) -> str:
        """What its status.json says."""
        document = json.loads((self.attempt(number, attempt) / "status.json").read_bytes())
        return str(document["outcome"])

    def events(self, *names: str, file: str = "daily.jsonl") -> list[dict[str, Any]]:
        """The journal's rows of these events."""
        rows = [json.loads(line) for line in (self.folder / file).read_text().splitlines()]
        return [row for row in rows if row["event"] in names]


def raw_left(folder: Path) -> Sequence[str]:
    """The raw files that an attempt still has."""
    return [name for name in RAW if (folder / name).exists()]
