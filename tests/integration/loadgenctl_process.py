"""The command line as another process: start it, wait for what it says or records, send signals."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from docker import DockerClient
from tests.waiting import eventually

from loadgenctl.engines import ownership_labels
from loadgenctl.owner import Owner, host_id, process_start
from loadgenctl.records.reader import parse_row

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "loadgenctl")
PROMPT = 10.0
"""Seconds within which a mistake, or a request to stop, must have had its effect."""
SIM = ("run", "--sdk", "sim")
QUICK = '[chain]\nblock_time = 0.3\n[solo]\nstart_seconds = 0.1\n[vats]\nstatic = ["bank", "zoe"]\n'
CHAIN_STOPPED = ("chain-stopping", "chain-stopped", "stage-finish")
"""What perf.jsonl has at the end of a stage."""
ROLES = {"holder", "chain", "solo", "loadgen"}
PATIENCE = 60.0
"""Seconds until a condition must hold, unless a test says otherwise."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    """From its start to its end."""


class Loadgenctl:
    """One `loadgenctl …` in a session of its own; what still runs at the end is killed."""

    owners: ClassVar[set[Owner]] = set()
    """All that were started, as the labels of what they make name them."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """Starts it. What it says goes to files in `folder`; `env` is added to the environment."""
        folder.mkdir(parents=True, exist_ok=True)
        self._outputs = folder / "stdout.txt", folder / "stderr.txt"
        merged = {**os.environ, "PYTHONPATH": str(ROOT / "controller"), "COLUMNS": "120"}
        # On SIGABRT it says where every thread stands, see `_stuck`.
        merged |= {"PYTHONFAULTHANDLER": "1", **(env or {})}
        if "GITHUB_STEP_SUMMARY" not in (env or {}):
            # The job that runs these tests has a page of its own.
            merged.pop("GITHUB_STEP_SUMMARY", None)
        self._began = time.monotonic()
        with self._outputs[0].open("wb") as stdout, self._outputs[1].open("wb") as stderr:
            self._process = subprocess.Popen(
                [*program, *arguments],
                cwd=cwd or folder,
                env=merged,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        start = process_start(self._process.pid) or ""
        self.owners.add(Owner(self._process.pid, start, host_id()))

    def __enter__(self) -> Loadgenctl:
        """For `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing outlives the test, whatever became of it."""
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    @property
    def pid(self) -> int:
        """The controller's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return self._outputs[0].read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """What it reported so far."""
        return self._outputs[1].read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal to the controller alone."""
        self._process.send_signal(number)

    def ctrl_c(self) -> None:
        """What a terminal does: SIGINT to the whole process group."""
        os.killpg(self._process.pid, signal.SIGINT)

    def until(self, so: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
        """Wait for a condition; an end of the command before it is a failure."""

        def look() -> bool:
            running = self.running
            if so():
                return True
            assert running, f"ended with {self._process.returncode} before: {what}\n{self.stderr}"
            return False

        eventually(look, what, timeout=timeout, evidence=lambda: self.stderr)

    def until_said(self, text: str, timeout: float = PATIENCE) -> None:
        """Wait until `text` stands in what it reports."""
        self.until(lambda: text in self.stderr, f"it says {text!r}", timeout)

    def end(self, timeout: float = PATIENCE) -> Ended:
        """Wait for its end."""
        eventually(lambda: not self.running, "it ends", timeout=timeout, evidence=self._stuck)
        seconds = time.monotonic() - self._began
        return Ended(self._process.returncode, self.stdout, self.stderr, seconds)

    def _stuck(self) -> str:
        """What it reported, and where it stands; it does not go on after that."""
        if self.running:
            self.signal(signal.SIGABRT)
            self._process.wait()
        return self.stderr


@dataclass(frozen=True, slots=True)
class Records:
    """A results folder, read without the package's own reader: the files are the contract."""

    folder: Path

    def document(self, name: str) -> dict[str, Any]:
        """A JSON file; empty while it is not there."""
        try:
            found: dict[str, Any] = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return {}
        return found

    @property
    def status(self) -> dict[str, Any]:
        """status.json."""
        return self.document("status.json")

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The whole lines of a JSON-lines file so far; one that is no JSON object is a failure."""
        try:
            lines = (self.folder / name).read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        rows = [parse_row(line) for line in lines if line.endswith(b"\n")]
        assert None not in rows, f"{name} holds a line that is no JSON object"
        return [row for row in rows if row is not None]

    def perf(self, stage: int | None = None) -> list[str]:
        """The types of perf.jsonl without the samples, of one stage or of all."""
        return [
            row["type"].removeprefix("perf-")
            for row in self.rows("perf.jsonl")
            if not row["type"].endswith("-usage") and stage in (None, row["stage"])
        ]

    def reached(self, event: str, stage: int) -> bool:
        """True once a stage's perf event was recorded."""
        return event in self.perf(stage)

    def cycles(self, *, finished_in: int) -> int:
        """How many cycles of a stage have finished."""
        return sum(row["stage"] == finished_in for row in self.rows("cycles.jsonl"))

    def slog(self, name: str) -> list[dict[str, Any]]:
        """The lines of a compressed slog, to the last one; a cut-off archive is a failure."""
        lines = gzip.decompress((self.folder / name).read_bytes()).splitlines()
        return [json.loads(line) for line in lines]


@dataclass(frozen=True, slots=True)
class EngineView:
    """What stands on the engine that a certain process made."""

    client: DockerClient

    def owned(self, pid: int) -> dict[str, str]:
        """Role → state of the containers that the process `pid` made."""
        wanted = {"label": [f"{ownership_labels.OWNER_PID}={pid}"]}
        found = self.client.api.containers(all=True, filters=wanted)
        return {item["Labels"][ownership_labels.ROLE]: item["State"] for item in found}

    def left(self, pid: int) -> list[str]:
        """Names of the containers, networks and volumes that the process `pid` made."""
        wanted = {"label": [f"{ownership_labels.OWNER_PID}={pid}"]}
        api = self.client.api
        containers = [item["Names"][0] for item in api.containers(all=True, filters=wanted)]
        networks = [item["Name"] for item in api.networks(filters=wanted)]
        volumes = [item["Name"] for item in (api.volumes(filters=wanted)["Volumes"] or [])]
        return [*containers, *networks, *volumes]

    def inspect(self, pid: int, role: str) -> dict[str, Any]:
        """The engine's document of a role's container."""
        found: dict[str, Any] = self.client.api.inspect_container(self._id(pid, role))
        return found

    def kill(self, pid: int, role: str) -> None:
        """Kill a role's container."""
        self.client.api.kill(self._id(pid, role), signal="SIGKILL")

    def run_in(self, pid: int, role: str, *argv: str) -> bytes:
        """What a command says that ran to its good end in a role's container, as its user."""
        made = self.client.api.exec_create(self._id(pid, role), list(argv))["Id"]
        output: bytes = self.client.api.exec_start(made)
        assert self.client.api.exec_inspect(made)["ExitCode"] == 0, output
        return output

    def _id(self, pid: int, role: str) -> str:
        wanted = {
            "label": [f"{ownership_labels.OWNER_PID}={pid}", f"{ownership_labels.ROLE}={role}"]
        }
        (item,) = self.client.api.containers(all=True, filters=wanted)
        return str(item["Id"])


class Desk:
    """Starts commands in folders of their own and looks at the engine."""

    def __init__(self, folder: Path, engine: EngineView) -> None:
        self.folder = folder
        self.engine = engine
        self._serials = itertools.count()

    def settings(self, *faults: str) -> tuple[str, str]:
        """The options that make the simulated SDK quick, and faulty where asked."""
        file = self.folder / f"sim-{next(self._serials)}.toml"
        file.write_text(QUICK + "".join(f"[[fault]]\n{fault}\n" for fault in faults))
        return "--sim-config", str(file)

    def start(self, *arguments: str, **env: str) -> tuple[Loadgenctl, Records]:
        """A command going on, and the folder of its results if it makes any."""
        folder = self.folder / f"command-{next(self._serials)}"
        makes = arguments[0] in {"run", "up"} and "--resume" not in arguments
        output = ("--output-dir", str(folder / "out")) if makes else ()
        return Loadgenctl(folder, *arguments, *output, env=env), Records(folder / "out")

    def do(self, *arguments: str, **env: str) -> tuple[Ended, Records]:
        """A command that has ended and left nothing on the engine."""
        command, records = self.start(*arguments, **env)
        with command:
            ended = command.end(timeout=120)
        assert self.engine.left(command.pid) == []
        return ended, records
