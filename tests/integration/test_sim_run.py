"""Whole runs of the simulated SDK on a real engine, by the command line as another process.

What a run leaves on the engine is looked for by the process that owned it, so that other runs on
the same engine disturb nothing.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import signal
import socket
import tarfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.docker_support import DockerUnderTest
from tests.integration.loadgenctl_process import Ended, EngineView, Loadgenctl, Records

from loadgenctl.process import Runner

pytestmark = pytest.mark.docker

SIM = ("run", "--sdk", "sim")
QUICK = '[chain]\nblock_time = 0.3\n[solo]\nstart_seconds = 0.1\n[vats]\nstatic = ["bank", "zoe"]\n'
TASKS = ("faucet", "amm", "vault")
LOAD = [word for task in TASKS for word in (f"--stage.loadgen.{task}.interval", "1")]
ROLES = {"holder", "chain", "solo", "loadgen"}
PROMPT = 10.0
"""Seconds within which a mistake, or a request to stop, must have had its effect."""


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
        output = ("--output-dir", str(folder / "out")) if arguments[0] == "run" else ()
        return Loadgenctl(folder, *arguments, *output, env=env), Records(folder / "out")

    def do(self, *arguments: str, **env: str) -> tuple[Ended, Records]:
        """A command that has ended and left nothing on the engine."""
        command, records = self.start(*arguments, **env)
        with command:
            ended = command.end(timeout=120)
        assert self.engine.left(command.pid) == []
        return ended, records


@pytest.fixture(scope="module")
def desk(
    docker_under_test: DockerUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    client = docker_under_test.client()
    yield Desk(tmp_path_factory.mktemp("runs"), EngineView(client))
    client.close()


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A run that has ended, and what its containers were while it was under load."""

    ended: Ended
    records: Records
    containers: dict[str, dict[str, Any]]
    left: list[str]


@pytest.fixture(scope="module")
def whole(desk: Desk) -> WholeRun:
    """Three stages with all three tasks."""
    command, records = desk.start(
        *SIM,
        *("--stages", "3", "--stage.duration", "2", "--stage.loadgen.cycles", "18"),
        *("--monitor-interval", "0.05", "--sample-interval", "1"),
        *LOAD,
        *desk.settings(),
    )
    with command:
        command.until(lambda: records.cycles(finished_in=1) > 0, "a cycle finishes")
        containers = {role: desk.engine.inspect(command.pid, role) for role in ROLES}
        ended = command.end()
    return WholeRun(ended, records, containers, desk.engine.left(command.pid))


def test_it_passes_with_cycles_of_every_task_and_leaves_nothing(whole: WholeRun) -> None:
    assert whole.ended.exit_code == 0, whole.ended.stderr
    assert whole.left == []
    cycles = whole.records.rows("cycles.jsonl")
    assert {row["task"] for row in cycles} == set(TASKS)
    assert {row["stage"] for row in cycles} == {1}
    assert [row for row in cycles if row["success"] is not True] == []
    assert len(cycles) >= 18
    assert "passed" in whole.ended.stdout
    assert str(whole.records.folder) in whole.ended.stderr


def test_roles_were_separate_containers_in_one_network_without_privileges(whole: WholeRun) -> None:
    ids = {role: document["Id"] for role, document in whole.containers.items()}
    assert len(set(ids.values())) == len(ROLES)
    for role in ROLES - {"holder"}:
        document = whole.containers[role]
        host = document["HostConfig"]
        assert document["State"]["Running"]
        assert host["NetworkMode"] == f"container:{ids['holder']}"
        assert host["CapDrop"] == ["ALL"]
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
        assert not host["Privileged"]
        assert document["Config"]["User"].partition(":")[0] not in {"", "0", "root"}
        mounts = {mount["Destination"]: mount for mount in document["Mounts"]}
        assert not mounts["/src"]["RW"]
        assert not any("docker.sock" in mount["Source"] for mount in mounts.values())


def test_documents_are_complete(whole: WholeRun) -> None:
    run, status = whole.records.document("run.json"), whole.records.status
    assert run["sdk"]["simulated"] is True
    assert run["image"]["id"].startswith("sha256:")
    assert [stage["chain_only"] for stage in run["plan"]["stages"]] == [True, False, True]
    assert (status["outcome"], status["exit_code"], status["reason"]) == ("passed", 0, None)
    summary = whole.records.document("summary.json")
    assert [stage["finished"] for stage in summary["stages"]] == [True, True, True]
    totals = summary["totals"]["cycles"]
    assert totals["all"]["failed"] == 0
    assert {task: totals[task]["succeeded"] > 0 for task in TASKS} == dict.fromkeys(TASKS, True)
    left = {entry.name for entry in whole.records.folder.iterdir()}
    assert not {"state", "shared"} & left


def test_perf_tells_every_step_in_order(whole: WholeRun) -> None:
    records = whole.records
    chain_up = ["stage-start", "run-chain-start", "run-chain-finish", "chain-ready"]
    first = ["stage-first-block", "stage-first-empty-block"]
    load_up = ["run-client-start", "run-client-finish", "client-ready"]
    load_up += ["run-loadgen-start", "run-loadgen-finish", "loadgen-ready"]
    alone = [*chain_up, *first, "stage-ready", "stage-shutdown", "chain-stopped", "stage-finish"]
    loaded = [*chain_up, *first, *load_up, "stage-ready", "stage-shutdown"]
    loaded += ["loadgen-stopped", "client-stopped", "chain-stopped", "stage-finish"]
    bootstrap = ["chain-first-init-start", "chain-first-init-finish"]
    assert [name for name in records.perf(0) if name not in bootstrap] == alone
    assert [name for name in records.perf(0) if name in bootstrap] == bootstrap
    assert records.perf(1) == loaded
    assert records.perf(2) == alone
    outside = records.perf(-1)
    assert outside == ["start", "setup-tasks-start", "setup-tasks-finish", "finish"]
    times = [row["timestamp"] for row in records.rows("perf.jsonl")]
    assert times == sorted(times)
    finish = records.rows("perf.jsonl")[-1]
    assert finish["stats"]


def test_blocks_are_without_a_gap_over_the_restarts(whole: WholeRun) -> None:
    blocks = whole.records.rows("blocks.jsonl")
    heights = [row["blockHeight"] for row in blocks]
    assert heights == list(range(heights[0], heights[0] + len(heights)))
    assert {row["stage"] for row in blocks} == {0, 1, 2}
    assert any(row["deliveries"] for row in blocks if row["stage"] == 1 and row["liveMode"])


def test_samples_hold_containers_the_kernel_and_named_vats(whole: WholeRun) -> None:
    samples = [row for row in whole.records.rows("samples.jsonl") if row["stage"] == 1]
    containers = {row["role"] for row in samples if row["kind"] == "container"}
    assert containers >= {"chain", "solo", "loadgen"}
    processes = [row for row in samples if row["kind"] == "process"]
    subjects = {row["subject"] for row in processes}
    assert {"kernel", "vats", "v1"} <= subjects
    assert {row["name"] for row in processes if row["subject"] == "v1"} == {"bank"}
    kernel = [row for row in processes if row["subject"] == "kernel"]
    assert all(row["memory_rss_kib"] > 1000 for row in kernel)
    assert any(row["kind"] == "storage" and row["disk_kib"] for row in samples)


def test_slogs_are_whole_and_storage_can_be_unpacked(whole: WholeRun) -> None:
    for stage in (0, 1, 2):
        lines = whole.records.slog(f"chain-stage-{stage}.slog.gz")
        heights = {row["blockHeight"] for row in lines if row["type"].endswith("end-block-finish")}
        recorded = whole.records.rows("blocks.jsonl")
        # The bootstrap ends as block 0, which is no block of the chain.
        assert heights - {0} == {row["blockHeight"] for row in recorded if row["stage"] == stage}
    assert whole.records.slog("client-stage-1.slog.gz")
    for name in ("chain-storage-stage-0", "chain-storage-stage-1", "client-storage-stage-1"):
        packed = (whole.records.folder / f"{name}.tar.zst").read_bytes()
        unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
        with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
            assert any(member.isfile() and member.size for member in archive)
    logs = {log.name for log in (whole.records.folder / "logs").iterdir()}
    assert {f"{role}-stage-1.log.gz" for role in ("chain", "client", "loadgen")} <= logs


def test_stats_recompute_the_summary(whole: WholeRun, desk: Desk) -> None:
    ended, _ = desk.do("stats", "--json", str(whole.records.folder), DOCKER_HOST="unix:///none")
    assert ended.exit_code == 0, ended.stderr
    again, before = json.loads(ended.stdout), whole.records.document("summary.json")
    assert again["totals"] == before["totals"]


@pytest.fixture
def under_load(desk: Desk) -> Iterator[Callable[..., tuple[Loadgenctl, Records]]]:
    """Starts a run and waits until its load's first cycle has finished."""
    started: list[Loadgenctl] = []

    def start(*options: str, settings: tuple[str, str]) -> tuple[Loadgenctl, Records]:
        load = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1")
        command, records = desk.start(*SIM, *load, "--stage.0.duration", "30", *options, *settings)
        started.append(command)
        command.until(lambda: records.cycles(finished_in=0) > 0, "a cycle finishes")
        return command, records

    yield start
    for command in started:
        with command:
            pass


def test_ctrl_c_under_load_ends_the_stage_and_keeps_the_records(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, records = under_load(settings=desk.settings())
    assert desk.engine.owned(command.pid) == dict.fromkeys(ROLES, "running")
    command.ctrl_c()
    ended = command.end()
    assert ended.exit_code == 130, ended.stderr
    assert desk.engine.left(command.pid) == []
    assert "interrupted" in ended.stderr
    assert "faucet" in ended.stdout, "the summary is shown"
    assert (records.status["outcome"], records.status["exit_code"]) == ("interrupted", 130)
    assert records.perf(0)[-3:] == ["client-stopped", "chain-stopped", "stage-finish"]
    assert records.rows("blocks.jsonl")
    assert records.rows("samples.jsonl")
    assert records.slog("chain-stage-0.slog.gz")
    assert records.document("summary.json")["run"]["outcome"] == "interrupted"
    shown, _ = desk.do("stats", str(records.folder))
    assert shown.exit_code == 0, shown.stderr
    assert "interrupted" in shown.stdout


def test_a_second_ctrl_c_does_not_wait_for_cycles(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    hangs = 'kind = "driver-hang"\nat_cycle = 2'
    command, records = under_load(settings=desk.settings(hangs))
    command.until(
        lambda: any(row.get("seq") == 2 for row in records.rows("events.jsonl")), "the cycle hangs"
    )
    command.ctrl_c()
    command.until_said("once more stops at once")
    command.ctrl_c()
    ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 130, ended.stderr
    assert records.status["outcome"] == "interrupted"
    assert desk.engine.left(command.pid) == []


def test_a_stop_while_the_chain_starts(desk: Desk) -> None:
    slow = 'kind = "slow-start"\nseconds = 300'
    command, records = desk.start(*SIM, "--stages", "1", *desk.settings(slow))
    with command:
        command.until(
            lambda: desk.engine.owned(command.pid).get("chain") == "running", "the chain starts"
        )
        command.signal(signal.SIGTERM)
        ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 130, ended.stderr
    assert "SIGTERM" in ended.stderr
    assert records.status["outcome"] == "interrupted"
    assert desk.engine.left(command.pid) == []


def test_what_a_killed_run_leaves_is_swept_by_the_next_command(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    command, records = under_load(settings=desk.settings())
    command.signal(signal.SIGKILL)
    assert command.end().exit_code == -signal.SIGKILL
    names = desk.engine.left(command.pid)
    assert len(names) >= len(ROLES)

    would, _ = desk.do("clean", "--dry-run")
    assert all(f"would remove container {name.lstrip('/')}" in would.stdout for name in names)
    assert desk.engine.left(command.pid) == names
    swept, _ = desk.do("clean")
    assert swept.exit_code == 0, swept.stderr
    assert all(f"removed container {name.lstrip('/')}" in swept.stdout for name in names)
    assert desk.engine.left(command.pid) == []

    assert records.status["outcome"] == "running", "nobody was left to write another"
    shown, _ = desk.do("stats", str(records.folder))
    assert shown.exit_code == 0, shown.stderr
    assert "killed" in shown.stdout
    assert "faucet" in shown.stdout


def test_a_chain_that_crashes_is_named_with_its_last_lines(desk: Desk) -> None:
    crash = 'kind = "chain-crash"\nafter_blocks = 4\nexit_code = 3'
    options = ("--stages", "1", "--stage.0.duration", "5", "--chain-only")
    ended, records = desk.do(*SIM, *options, *desk.settings(crash))
    assert ended.exit_code == 4
    assert "chain ended unexpectedly: exit code 3" in ended.stderr
    status = records.status
    assert (status["outcome"], status["role"], status["role_exit_code"]) == ("died", "chain", 3)
    assert status["last_lines"]
    assert records.document("summary.json")["run"]["outcome"] == "died"


def test_a_failed_cycle_fails_the_run(desk: Desk) -> None:
    fails = 'kind = "cycle-fails"'
    load = ("--stages", "1", "--stage.0.loadgen.faucet.interval", "1", "--fail-fast")
    ended, records = desk.do(*SIM, *load, *desk.settings(fails))
    assert ended.exit_code == 4
    assert "a cycle failed: faucet" in ended.stderr
    assert records.status["role"] == "loadgen"


def _blocked(folder: Path) -> str:
    """A results folder that nobody can make, not even root."""
    (folder / "file").write_text("")
    return str(folder / "file" / "out")


@pytest.mark.parametrize(
    ("words", "env", "says"),
    [
        ("--stage.duraton 1", {}, "did you mean --stage.duration?"),
        ("--revision abc", {}, "has no revisions"),
        ("--src /nonexistent/sdk", {}, "there is no folder /nonexistent/sdk"),
        ("--sdk-repo /nonexistent/repo", {}, "/nonexistent/repo"),
        ("--stage.0.loadgen.faucett.interval 3", {}, "did you mean 'faucet'?"),
        ("--sim-config /nonexistent.toml", {}, "cannot read /nonexistent.toml"),
        ("", {"DOCKER_HOST": "unix:///nonexistent"}, "no Docker engine answers"),
        ("", {"DOCKER_HOST": "tcp://127.0.0.1:1"}, "no Docker engine answers"),
        ("", {"LOADGENCTL_STAGS": "3"}, "unknown environment variable LOADGENCTL_STAGS"),
    ],
)
def test_a_mistake_is_told_at_once_and_leaves_nothing(
    desk: Desk, tmp_path: Path, words: str, env: dict[str, str], says: str
) -> None:
    cache = tmp_path / "cache"
    more = {"NO_PROXY": "127.0.0.1", "LOADGENCTL_CACHE": str(cache), "TMPDIR": str(tmp_path)}
    ended, records = desk.do(*SIM, "--stages", "1", *words.split(), **more, **env)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert ended.exit_code == 2, ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not records.folder.exists()
    assert ended.seconds < PROMPT
    assert [path for path in written if cache not in path.parents] == []


def test_an_output_folder_that_cannot_be_made(desk: Desk, tmp_path: Path) -> None:
    blocked = _blocked(tmp_path)
    with Loadgenctl(tmp_path / "c", *SIM, "--stages", "1", "--output-dir", blocked) as command:
        ended = command.end(timeout=PROMPT)
    assert ended.exit_code == 2
    assert f"the results folder {blocked} cannot be used" in ended.stderr
    assert "hint: give another --output-dir" in ended.stderr
    assert desk.engine.left(command.pid) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes that is empty."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "small"
    folder.mkdir()
    done = Runner().run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)])
    assert done.exit_code == 0, done.last_lines()
    yield folder
    Runner().run(["umount", "--lazy", str(folder)])


def _fill(folder: Path) -> None:
    usage = os.statvfs(folder)
    piece = b"\0" * usage.f_frsize
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(piece)


def test_a_disk_that_fills_up_ends_the_run_with_its_reason(
    desk: Desk, small_disk: Path, tmp_path: Path
) -> None:
    records = Records(small_disk / "out")
    options = ("--stages", "1", "--chain-only", "--stage.0.duration", "10")
    output = ("--output-dir", str(records.folder))
    command = Loadgenctl(tmp_path / "c", *SIM, *options, *output, *desk.settings())
    with command:
        command.until(lambda: records.reached("stage-ready", 0), "the stage is ready")
        _fill(small_disk)
        ended = command.end()
    assert ended.exit_code == 2, ended.stderr
    assert "there is no room left for results" in ended.stderr
    assert desk.engine.left(command.pid) == []
    assert records.status["outcome"] == "failed"


def _free(*ports: int) -> bool:
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


def _ask(port: int, path: str, *, put: object = None) -> str:
    body = None if put is None else json.dumps(put).encode()
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PROMPT) as answer:
        text: str = answer.read().decode()
    return text


def test_published_ports_answer_on_loopback(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    if not _free(26657, 8000, 3352):
        pytest.skip("somebody uses the ports that would be published")
    command, records = under_load("--publish", settings=desk.settings())
    status = json.loads(_ask(26657, "/status"))
    assert int(status["result"]["sync_info"]["latest_block_height"]) > 0
    assert json.loads(_ask(3352, "/config"))["faucet"]["interval"] == 1
    assert _ask(3352, "/config", put={"amm": {"interval": 1}}) == "config updated\n"
    command.until(
        lambda: any(row["task"] == "amm" for row in records.rows("cycles.jsonl")),
        "the new load runs",
    )
    command.ctrl_c()
    assert command.end().exit_code == 130
    assert _free(26657, 8000, 3352)
