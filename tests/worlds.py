"""A whole run on fakes: scripted roles that write what real ones write."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes import FakeClock, FakeEngine, FakeExec, Reaction, Script

from loadgenctl.building.builder import Builder, SdkBuild
from loadgenctl.clock import Clock
from loadgenctl.images import ImageRef
from loadgenctl.model import RoleSpec, RunPlan
from loadgenctl.monitor.readers import Answer, Read, read_once
from loadgenctl.owner import host_id
from loadgenctl.plan.planner import make_plan, make_plan_by_hand
from loadgenctl.plan.settings import Settings, merge
from loadgenctl.process import Child, Runner
from loadgenctl.records.archive import pack
from loadgenctl.records.store import RunStore
from loadgenctl.run.context import Services
from loadgenctl.run.interrupt import Interrupts
from loadgenctl.run.progress import Live, Progress
from loadgenctl.run.resume import examine
from loadgenctl.run.runner import RunResult, execute
from loadgenctl.sdks import sim
from loadgenctl.sdks.base import BuildRecipe, ImageRecipe
from loadgenctl.sources.bundled import BundledSource

GRACEFUL = {"SIGINT": Reaction(0, 0.2), "SIGTERM": Reaction(0, 0.2)}


class InlineReader:
    """A `Reader` that reads while it is asked."""

    def __init__(self, read: Read, clock: Clock, name: str) -> None:
        self._read, self._clock = read, clock
        self._answer: Answer | None = None

    def ask(self) -> None:
        self._answer = read_once(self._read, self._clock)

    def poll(self) -> Answer | None:
        answer, self._answer = self._answer, None
        return answer

    def close(self) -> None:
        self._answer = None


class Images:
    """Makes every image at once; `error` makes it fail."""

    error: Exception | None = None

    def ensure(self, recipe: ImageRecipe, on_line: Callable[[str], None]) -> ImageRef:
        on_line(f"Step 1/1 : FROM {recipe.suite}")
        if self.error is not None:
            raise self.error
        return ImageRef("sim:fake", "sha256:fake", built=False)


class Builds(Builder):
    """Every SDK is built already, in `tree`; `error` makes it fail."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.error: Exception | None = None
        self.in_place: list[Path] = []
        """Folders that were built where they are."""

    def build(self, what: SdkBuild, log: Path) -> Path:
        if self.error is not None:
            raise self.error
        self.tree.mkdir(exist_ok=True)
        return self.tree

    def fill(self, what: SdkBuild, folder: Path, log: Path) -> Path:
        raise NotImplementedError

    def build_in_place(self, folder: Path, recipe: BuildRecipe, image: str, log: Path) -> Path:
        if self.error is not None:
            raise self.error
        self.in_place.append(folder)
        return folder

    def in_use(self, tree: Path) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass
class Remembering(Progress):
    """Keeps what a person would have been told."""

    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    lives: list[Live] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def step(self, text: str) -> None:
        self.steps.append(text)

    def live(self, live: Live) -> None:
        self.lives.append(live)


class PromptRunner(Runner):
    """Saved storage is packed at once: real programs know no fake time."""

    def start(self, argv: Sequence[str]) -> Child:
        """See `Runner.start`; only packing is begun in the background."""
        *_, folder, target = argv
        pack(Path(folder), Path(target))
        return super().start(["true"])


class World:
    """Roles that behave; a test changes what should go wrong, then calls `run`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.setup = Script(exit_after=0.3, on_start=self._setup_starts)
        self.funding: Script | None = None
        """The one-shot that provisions the client, if not like the others."""
        self.interrupts = Interrupts()
        self.make_engine: type[FakeEngine] = FakeEngine
        self.progress = Remembering()
        self.processes = Runner()
        self.images = Images()
        self.builds = Builds(folder / "src")
        self.block_time = 1.0
        self.cycle_time = 2.0
        self.last_block: int | None = None
        """The chain makes no more blocks after this one."""
        self.hung_delivery: str | None = None
        """The vat whose delivery keeps the last block from ending."""
        self.cycles_succeed = True
        self.cycles_finish = True
        self.hello: dict[str, Any] | None = None
        """What the driver tells of itself when the load service starts, if anything."""
        self.detail: dict[str, Any] = {}
        """Of each cycle, if any."""
        self.prepares = True
        self.unprepared = 0
        """The first preparations, so many, fail."""
        self.height = 0
        self.configs: list[dict[str, Any]] = []
        self.finished: list[Path] = []
        self.readies = 0
        """How many times a person was told that all is ready."""
        self._load: dict[str, Any] = {}
        self._seq = 0
        self.chain = Script(
            lines=(
                (0.5, "launch-chain: Launching SwingSet kernel"),
                (1.0, "block-manager: block 1 commit"),
            ),
            on_signal=GRACEFUL,
            execs=self._chain_exec,
            on_start=self._chain_starts,
        )
        self.solo = Script(
            lines=((0.5, "start: swingset running"), (1.0, "Deployed Wallet!")),
            on_signal=GRACEFUL,
        )
        self.loadgen = Script(
            lines=((0.5, "server running"),),
            on_signal=GRACEFUL,
            execs=self._loadgen_exec,
            on_start=self._loadgen_starts,
        )

    def run(self, line: str = "") -> RunResult:
        """A run of the plan that `line` gives."""
        return execute(self.plan(line), self.services())

    def resume(self, folder: Path | None = None) -> RunResult:
        """Go on with the run in a folder, by a process of its own."""
        self.interrupts = Interrupts()
        resumption = examine(folder or self.folder / "out")
        return execute(resumption.plan, self.services(), resumption)

    def kill(self, seconds: float) -> Path:
        """Where the results stand as a run leaves them that is killed after so many seconds."""
        killed = self.folder / f"killed-{seconds:g}"

        def keep() -> None:
            shutil.copytree(self.folder / "out", killed)
            status = killed / "status.json"
            document = json.loads(status.read_bytes())
            document["owner"] = {"pid": 1, "start": "another-boot-1", "host": host_id()}
            status.write_text(json.dumps(document))

        self.clock.after(seconds, keep)
        return killed

    def up(self, line: str = "") -> RunResult:
        """The same roles for a person to drive, who ends it by an interrupt."""
        return execute(
            make_plan_by_hand(self._settings(line), now=0, cwd=self.folder), self.services()
        )

    def plan(self, line: str) -> RunPlan:
        """The plan of a command line; results below the world's folder."""
        return make_plan(self._settings(line), now=0, cwd=self.folder)

    def put(self, config: dict[str, Any]) -> None:
        """What `PUT /config` does while the load service runs."""
        self._load = config
        self.configs.append(self._load)
        self._event(type="config", config=self._load)
        for task, settings in self._load.items():
            prepared = self.prepares and self.unprepared <= 0
            self.unprepared -= 1
            self._event(type="prepare", task=task, success=prepared)
            if prepared:
                self._cycle_after(settings.get("wait", 0), task)

    def services(self) -> Services:
        """Fakes throughout, but for the description of the simulated SDK."""
        roles = {"chain": self.chain, "solo": self.solo, "loadgen": self.loadgen}
        # The chain's state, the client's, its provision.
        setups = [self.setup, self.setup, self.funding or self.setup]
        self.engine = self.make_engine(self.clock, {**roles, "setup": setups})
        return Services(
            engine=self.engine,
            clock=self.clock,
            source=BundledSource(),
            factory=sim.make,
            make_image=self.images.ensure,
            builder=self.builds,
            processes=self.processes,
            progress=self.progress,
            interrupts=self.interrupts,
            role_user=(1000, 1000),
            finish=self._finish,
            make_reader=InlineReader,
            on_ready=self._ready,
        )

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a file of the results."""
        text = (self.folder / "out" / name).read_text()
        return [json.loads(line) for line in text.splitlines()]

    def status(self) -> dict[str, Any]:
        """status.json."""
        found: dict[str, Any] = json.loads((self.folder / "out" / "status.json").read_text())
        return found

    def _settings(self, line: str) -> Settings:
        args = ["--sdk", "sim", "--output-dir", str(self.folder / "out"), *line.split()]
        return merge(args, {}, None, "")

    def _ready(self) -> None:
        self.readies += 1

    def _finish(self, store: RunStore) -> dict[str, Any]:
        self.finished.append(store.folder)
        return {}

    def _chain_exec(self, argv: tuple[str, ...]) -> FakeExec:
        result = {"n_txs": "7", "total": "7"} if "unconfirmed" in argv[-1] else {}
        return FakeExec(output=json.dumps({"jsonrpc": "2.0", "id": -1, "result": result}).encode())

    def _setup_starts(self, spec: RoleSpec) -> None:
        for role in ("chain", "solo"):
            state = _on_host(spec, f"/state/project/{role}")
            state.mkdir(exist_ok=True)
            (state / "data").write_bytes(b"x" * 4096)
        genesis = _on_host(spec, "/state/project/chain/config/genesis.json")
        genesis.parent.mkdir(exist_ok=True)
        genesis.write_text("{}")

    def _chain_starts(self, spec: RoleSpec) -> None:
        slog = _on_host(spec, spec.command.env["SLOGFILE"])
        container = self.engine.latest("chain")
        kept = _on_host(spec, "/state/project/chain/height")
        self.height = int(kept.read_text()) if kept.exists() else 0

        def block() -> None:
            if not container.running:
                return
            if self.last_block is None or self.height < self.last_block:
                self.height += 1
                kept.write_text(str(self.height))
                now = self.clock.wall()
                head = {"blockHeight": self.height, "blockTime": int(now)}
                with slog.open("ab") as stream:
                    for after, name in ((0.0, "begin-block"), (0.1, "end-block-start")):
                        stream.write(_slog_line(now + after, name, head))
                    if self._load:
                        stream.write(b"".join(_delivery(now + 0.12, "v10", self.height)))
                    if self.hung_delivery and self.height == self.last_block:
                        stream.write(_delivery(now + 0.16, self.hung_delivery, self.height)[0])
                    else:
                        stream.write(_slog_line(now + 0.2, "end-block-finish", head))
            self.clock.after(self.block_time, block)

        self.clock.after(1.0, block)

    def _loadgen_starts(self, spec: RoleSpec) -> None:
        self._events = _on_host(spec, spec.command.argv[spec.command.argv.index("--events") + 1])
        self._load = {}
        if self.hello is not None:
            self._event(type="driver", state="hello", **self.hello)

    def _loadgen_exec(self, argv: tuple[str, ...]) -> FakeExec:
        self.put(json.loads(argv[-1]))
        return FakeExec()

    def _cycle_after(self, seconds: float, task: str) -> None:
        """The next cycle, if the load is then what it is now."""
        load = self._load
        if seconds == 0:
            self._cycle(task)
        else:
            self.clock.after(seconds, lambda: self._cycle(task) if self._load is load else None)

    def _cycle(self, task: str) -> None:
        self._seq += 1
        seq = self._seq
        self._event(type="start", task=task, seq=seq, intended=self.clock.wall())
        if not self.cycles_finish:
            return

        def finish() -> None:
            outcome: dict[str, Any] = {"success": self.cycles_succeed}
            if not self.cycles_succeed:
                outcome["error"] = "the purse did not move"
            if self.detail:
                outcome["detail"] = self.detail
            self._event(type="finish", task=task, seq=seq, **outcome)

        self.clock.after(self.cycle_time, finish)
        self._cycle_after(self._load[task].get("interval", 60), task)

    def _event(self, **fields: Any) -> None:
        with self._events.open("a") as stream:
            stream.write(json.dumps({"time": self.clock.wall(), **fields}) + "\n")


def _on_host(spec: RoleSpec, path: str) -> Path:
    for mount in spec.mounts:
        if path.startswith(mount.target + "/"):
            return Path(mount.source) / path[len(mount.target) + 1 :]
    raise AssertionError(f"{path} is not mounted")


def _slog_line(time: float, name: str, fields: dict[str, Any]) -> bytes:
    return _line(time, f"cosmic-swingset-{name}", fields)


def _line(time: float, kind: str, fields: dict[str, Any]) -> bytes:
    row = {"time": round(time, 6), "type": kind, **fields}
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _delivery(time: float, vat_id: str, crank: int) -> tuple[bytes, bytes]:
    """The begin and the result of a delivery of 20 ms."""
    fields = {"crankNum": crank, "vatID": vat_id, "deliveryNum": crank, "replay": False}
    result = {"dr": ["ok", None, {"compute": 1000}], **fields}
    return _line(time, "deliver", fields), _line(time + 0.02, "deliver-result", result)


def names(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The types of perf rows, without the samples."""
    return [row["type"] for row in rows if not row["type"].endswith("-usage")]
