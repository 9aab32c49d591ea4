"""The sampler and the agent's client on fakes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import FakeClock, FakeEngine, Script, stats_document

from loadgenctl.clock import Clock
from loadgenctl.engines.base import Handle
from loadgenctl.errors import OutputFolderError
from loadgenctl.model import Command, RoleSpec
from loadgenctl.monitor import sample_rows
from loadgenctl.monitor.chain_agent import AgentClient, AgentSpec
from loadgenctl.monitor.readers import Answer, Read, ThreadReader, read_once
from loadgenctl.monitor.sampler import Sampler
from loadgenctl.monitor.self_usage import read_own_usage
from loadgenctl.records import schema
from loadgenctl.records.reader import RunFolder
from loadgenctl.records.store import RunStore

Row = dict[str, Any]

PERF_USAGE_KEYS = [
    "timestamp",
    "stage",
    "elapsed",
    "type",
    "processType",
    "real",
    "blockIo",
    "childGuest",
    "childKernel",
    "childUser",
    "guest",
    "kernel",
    "user",
    "vmData",
    "vmExe",
    "vmHwm",
    "vmLib",
    "vmLocked",
    "vmPeak",
    "vmPinned",
    "vmPte",
    "vmRss",
    "vmSize",
    "vmStack",
    "vmSwap",
    "rssAnon",
    "rssFile",
    "rssShmem",
]
"""What the original writes of a kernel process, in its order."""


class DirectReader:
    """Reads when it is asked."""

    def __init__(self, read: Read, clock: Clock, name: str) -> None:
        self._read = read
        self._clock = clock
        self._answer: Answer | None = None

    def ask(self) -> None:
        self._answer = read_once(self._read, self._clock)

    def poll(self) -> Answer | None:
        answer, self._answer = self._answer, None
        return answer

    def close(self) -> None:
        return


class SlowReader(DirectReader):
    """Answers when it is told to."""

    free = False

    def poll(self) -> Answer | None:
        return super().poll() if self.free else None


class World:
    """An engine with a run's containers, a store and a sampler."""

    def __init__(self, folder: Path, scripts: Mapping[str, Script] | None = None) -> None:
        self.clock = FakeClock()
        self.engine = FakeEngine(self.clock, scripts)
        self.store = RunStore.create(folder / "run", self.clock)
        self.store.perf_start()
        self.shared = folder / "shared"
        self.shared.mkdir()
        self.slow: list[SlowReader] = []
        self.slow_roles: set[str] = set()
        self.names: dict[str, str | None] = {}
        self.sampler = Sampler(
            self.engine,
            self.clock,
            self.store,
            interval=5,
            deadline=3,
            names=self.names,
            make_reader=self._reader,
        )

    def _reader(self, read: Read, clock: Clock, name: str) -> DirectReader:
        if name not in self.slow_roles:
            return DirectReader(read, clock, name)
        self.slow.append(SlowReader(read, clock, name))
        return self.slow[-1]

    def role(self, role: str, number: int = 0) -> Handle:
        spec = RoleSpec(f"run-{role}-{number}", role, "image", Command(("x",)))
        handle = self.engine.create(spec)
        self.engine.start(handle)
        return handle

    def client(self, handle: Handle, **spec: Any) -> AgentClient:
        return AgentClient(
            self.engine,
            handle,
            self.clock,
            AgentSpec(**{"light": 5.0, "full": 60.0, "storage": "project", **spec}),
            shared=self.shared,
            stage=0,
        )

    def agent_says(self, *lines: Row | bytes) -> None:
        with (self.shared / "agent-stage-0.jsonl").open("ab") as file:
            for line in lines:
                file.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")

    def samples(self) -> list[Row]:
        return list(RunFolder(self.store.folder).samples())

    def perf(self) -> list[Row]:
        return list(RunFolder(self.store.folder).perf())

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.sampler.poll()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def process(**values: Any) -> Row:
    return {**dict.fromkeys(sample_rows.FULL_COLUMNS, 1), "memory_locked_kib": 0, **values}


def full_line(**more: Any) -> Row:
    return {
        "time": 1_700_000_001.5,
        "kind": "full",
        "errors": {},
        "kernel": process(pid=7, memory_rss_kib=600000),
        "vats": [
            {"vat": "v1", "name": "bank", **process(memory_rss_kib=50000)},
            {"vat": "v16", "name": None, **process()},
        ],
        "totals": {"workers": 2, "memory_rss_kib": 50001, "cpu_user_s": 1, "cpu_system_s": 1},
        "storage": {"data/db": 100.0, "data/small": 4.0, "data/odd": 7.5},
        "storage_total_kib": 111.5,
        "agent": {"cpu_s": 0.1, "memory_rss_kib": 14000, "took_s": 0.003},
        **more,
    }


def test_every_container_is_read_on_a_grid_that_a_stall_does_not_move(world: World) -> None:
    world.store.begin_stage(0)
    world.sampler.watch("chain", world.role("chain"))
    world.sampler.poll()
    world.pass_seconds(7)
    world.clock.advance(10)
    world.pass_seconds(4)
    times = [row["time"] - 1_700_000_000 for row in world.samples()]
    # Asked at 0, 5, (stalled) 18 and 20; picked up at the next poll.
    assert times == [0, 5, 18, 20]
    row = world.samples()[1]
    assert (row["stage"], row["source"], row["kind"], row["role"]) == (
        0,
        "docker",
        "container",
        "chain",
    )
    assert row["cpu_total_s"] == 2.5
    assert row["memory_bytes"] == 50 * 1024 * 1024
    assert row["reason"] is None


def test_the_network_is_told_of_its_owner_only(world: World) -> None:
    world.sampler.watch("holder", world.role("holder"), owns_network=True)
    world.sampler.watch("chain", world.role("chain"))
    world.pass_seconds(12)
    network = {row["role"]: row["network_rx_bytes"] for row in world.samples()}
    assert network["holder"] is not None
    assert network["chain"] is None


def test_counters_go_on_over_the_stages_containers(world: World) -> None:
    for number in range(3):
        handle = world.role("chain", number)
        world.sampler.watch("chain", handle)
        world.pass_seconds(11)
        world.sampler.unwatch("chain")
        world.engine.remove(handle)
    seen = [(row["epoch"], row["cpu_total_s"]) for row in world.samples()]
    assert seen == sorted(seen)
    assert {epoch for epoch, _ in seen} == {0, 1, 2}
    assert all(row["cpu_total_s"] is not None for row in world.samples())


def test_a_container_that_fails_costs_its_own_row_only(tmp_path: Path) -> None:
    def broken(age: float) -> Mapping[str, object] | None:
        raise ValueError("the daemon is confused")

    world = World(tmp_path, {"solo": Script(stats=broken), "loadgen": Script(stats=lambda _: None)})
    for role in ("solo", "loadgen", "chain"):
        world.sampler.watch(role, world.role(role))
    world.sampler.poll()
    world.pass_seconds(1)
    found = {row["role"]: row for row in world.samples()}
    assert found["chain"]["cpu_total_s"] is not None
    assert found["solo"]["cpu_total_s"] is None
    assert found["solo"]["reason"] == "ValueError: the daemon is confused"
    assert found["loadgen"]["memory_bytes"] is None
    assert found["loadgen"]["reason"] == "the engine has no statistics of it"


def test_a_container_that_has_ended_has_no_zeros(tmp_path: Path) -> None:
    world = World(tmp_path, {"chain": Script(stats=lambda _: {"memory_stats": {}})})
    world.sampler.watch("chain", world.role("chain"))
    world.sampler.poll()
    world.pass_seconds(1)
    [row] = world.samples()
    assert row["pids"] is None
    assert row["reason"] == "the container was not running"


def test_a_reading_that_hangs_holds_up_nobody_and_is_told(world: World) -> None:
    world.slow_roles.add("solo")
    world.sampler.watch("solo", world.role("solo"))
    world.sampler.watch("chain", world.role("chain"))
    world.sampler.poll()
    world.pass_seconds(12)
    found = [(row["role"], row["reason"]) for row in world.samples()]
    assert found.count(("chain", None)) == 3
    assert [reason for role, reason in found if role == "solo"] == [
        "no answer within 3 s",
        "no answer for 5 s",
        "no answer for 10 s",
    ]
    world.slow[0].free = True
    world.pass_seconds(10)
    assert world.samples()[-1]["reason"] is None


def test_a_snapshot_waits_a_little_and_no_longer(world: World) -> None:
    world.slow_roles.add("solo")
    world.sampler.watch("chain", world.role("chain"))
    assert world.sampler.snapshot_now()
    assert len(world.samples()) == 1
    world.sampler.watch("solo", world.role("solo"))
    before = world.clock.monotonic()
    assert not world.sampler.snapshot_now(timeout=2)
    assert world.clock.monotonic() - before == pytest.approx(2, abs=0.1)


def test_a_full_line_becomes_samples_and_the_original_s_events(world: World) -> None:
    world.names["v16"] = "zcf-faucet"
    world.store.begin_stage(0)
    world.sampler.start_agent(world.client(world.role("chain")))
    world.clock.advance(2)
    world.agent_says({"time": 1.0, "kind": "start", "errors": {}}, full_line())
    world.sampler.poll()

    found = {(row["kind"], row["subject"]): row for row in world.samples()}
    assert found["process", "v1"]["name"] == "bank"
    assert found["process", "v16"]["name"] == "zcf-faucet"
    assert found["process", "kernel"]["memory_rss_kib"] == 600000
    assert found["process", "vats"]["workers"] == 2
    assert found["process", "agent"]["memory_rss_kib"] == 14000
    assert found["storage", "."]["disk_kib"] == 111.5
    assert found["storage", "data/small"]["disk_kib"] == 4
    assert found["process", "v1"]["time"] == 1_700_000_001.5

    kernel, v1, v16, storage = world.perf()[1:]
    assert list(kernel) == PERF_USAGE_KEYS
    assert kernel["vmRss"] == 600000
    assert (v1["vatID"], v1["name"]) == ("v1", "bank")
    assert (v16["vatID"], v16["name"]) == ("v16", "zcf-faucet")
    assert storage["type"] == "perf-chain-storage-usage"
    assert storage["chain"] == {"data/db": 100, "data/odd": 7.5}


def test_a_vat_without_a_name_has_none_in_its_event(world: World) -> None:
    events = list(sample_rows.usage_events(full_line(), {}))
    assert "name" not in events[2]


def test_what_the_agent_could_not_read_is_null_with_its_reason(world: World) -> None:
    line = full_line(
        kernel=None,
        storage=None,
        storage_total_kib=None,
        errors={"kernel": "no chain process found", "storage": "/x: gone", "io": "AccessDenied"},
    )
    line["vats"][0].update(io_read_bytes=None)
    found = {row["subject"]: row for row in sample_rows.samples(line, 0, {})}
    assert {found["kernel"][name] for name in sample_rows.FULL_COLUMNS} == {None}
    assert found["kernel"]["reason"] == "no chain process found"
    assert found["."]["disk_kib"] is None
    assert found["."]["reason"] == "/x: gone"
    assert found["v1"]["reason"] == "io: AccessDenied"
    assert found["v16"]["reason"] is None
    assert sample_rows.storage_event(line) is None


def test_light_lines_are_no_events(world: World) -> None:
    line = {**full_line(), "kind": "light"}
    del line["vats"], line["storage"], line["storage_total_kib"]
    subjects = [row["subject"] for row in sample_rows.samples(line, 0, {})]
    assert subjects == ["kernel", "vats", "agent"]
    assert list(sample_rows.usage_events(line, {})) == []


def test_torn_lines_wait_and_garbage_is_a_gap(world: World) -> None:
    client = world.client(world.role("chain"))
    assert client.start() == []
    world.agent_says({"kind": "start", "errors": {}}, b'{"kind":"li')
    assert [row["kind"] for row in client.poll()] == ["start"]
    world.agent_says(b'ght"}\n\xff\xfe\n')
    light, gap = client.poll()
    assert light["kind"] == "light"
    assert gap["kind"] == "gap"
    assert "1 unreadable" in gap["reason"]


def test_an_agent_gone_silent_is_started_again_a_few_times(world: World) -> None:
    handle = world.role("chain")
    world.sampler.start_agent(world.client(handle))
    world.pass_seconds(25)
    assert len(world.engine.latest("chain").detached) == 1
    world.pass_seconds(300)
    assert len(world.engine.latest("chain").detached) == 4
    reasons = [row["reason"] for row in world.samples()]
    assert reasons[0] == "nothing from the agent for 26 s"
    assert reasons[-1] == "given up on the agent after 4 starts"
    assert all(row["cpu_user_s"] is None for row in world.samples())
    assert len(reasons) == 5


def test_an_agent_that_was_terminated_is_started_again(world: World) -> None:
    client = world.client(world.role("chain"))
    client.start()
    world.agent_says({"kind": "end", "reason": "SIGTERM"})
    assert [row["kind"] for row in client.poll()] == ["end", "gap"]
    assert len(world.engine.latest("chain").detached) == 2


def test_an_agent_that_ended_with_its_container_is_no_gap(world: World) -> None:
    handle = world.role("chain")
    client = world.client(handle)
    client.start()
    world.engine.latest("chain").end(0)
    world.clock.advance(100)
    assert client.poll() == []
    assert client.given_up == "the container has ended"
    world.sampler.start_agent(client)
    assert world.samples()[0]["reason"].startswith("the agent could not be started")


def test_without_psutil_there_is_one_gap_and_no_new_start(world: World) -> None:
    client = world.client(world.role("chain"))
    client.start()
    world.agent_says({"kind": "start", "errors": {"psutil": "No module named 'psutil'"}})
    assert [row["kind"] for row in client.poll()] == ["start", "gap"]
    world.clock.advance(1000)
    assert client.poll() == []
    assert "psutil" in (client.given_up or "")


def test_an_earlier_agent_s_lines_of_the_stage_are_not_read_again(world: World) -> None:
    world.agent_says({"kind": "light", "errors": {}})
    client = world.client(world.role("chain"))
    client.start()
    assert client.poll() == []


def test_a_snapshot_gets_the_agent_s_answer(world: World) -> None:
    handle = world.role("chain")
    client = world.client(handle)
    world.sampler.start_agent(client)
    request = world.shared / "agent-stage-0.jsonl.request"
    world.clock.after(
        0.5, lambda: world.agent_says(full_line(request=request.read_text(encoding="utf-8")))
    )
    assert world.sampler.snapshot_now(timeout=3)
    assert world.clock.monotonic() < 1
    assert any(row["subject"] == "kernel" for row in world.samples())
    assert not world.sampler.snapshot_now(timeout=1)


def asked_at(world: World, seconds: int) -> list[int]:
    """After how many seconds the agent was asked for a full sample."""
    request, words, asked = world.shared / "agent-stage-0.jsonl.request", [""], []
    for second in range(1, seconds + 1):
        world.pass_seconds(1)
        word = request.read_text(encoding="utf-8") if request.exists() else ""
        if word != words[-1]:
            words.append(word)
            asked.append(second)
        world.agent_says({"kind": "light", "errors": {}})
    return asked


def test_full_samples_come_early_after_a_start_and_then_at_their_interval(world: World) -> None:
    world.sampler.start_agent(world.client(world.role("chain"), full=300.0))
    assert asked_at(world, 700) == [5, 10, 20, 40, 80, 160]


@pytest.mark.parametrize("full", [0.0, 4.0, 5.0])
def test_no_early_sample_where_samples_are_frequent_or_off(world: World, full: float) -> None:
    world.sampler.start_agent(world.client(world.role("chain"), full=full))
    assert asked_at(world, 30) == []


def test_early_samples_that_a_stall_made_late_are_asked_for_once(world: World) -> None:
    world.sampler.start_agent(world.client(world.role("chain"), full=300.0))
    world.clock.advance(25)
    assert asked_at(world, 30) == [1, 15]


def test_the_agent_s_command_line(world: World) -> None:
    argv = AgentSpec(light=5, full=90, storage="home/.chain", kernel="^x").argv("/out/a.jsonl")
    assert argv == [
        "python3",
        "/out/tools/agent/agent.py",
        "--out",
        "/out/a.jsonl",
        "--light",
        "5",
        "--full",
        "90",
        "--root-pid",
        "1",
        "--storage",
        "/state/home/.chain",
        "--kernel",
        "^x",
    ]


def test_a_folder_that_cannot_be_written_ends_the_run_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.sampler.watch("chain", world.role("chain"))
    (world.store.folder / schema.SAMPLES).symlink_to("/dev/full")
    world.sampler.poll()
    with pytest.raises(OutputFolderError):
        world.pass_seconds(1)
    world.pass_seconds(20)
    world.sampler.close()


def test_stopping_takes_what_is_left(world: World) -> None:
    world.store.begin_stage(0)
    world.sampler.start_agent(world.client(world.role("chain")))
    world.agent_says(full_line())
    world.sampler.close()
    assert {row["stage"] for row in world.samples()} == {0}
    world.sampler.poll()


def test_a_thread_reads_and_an_error_comes_back_as_a_reason() -> None:
    answers: list[Mapping[str, object] | None] = [stats_document(1)]

    def read() -> Mapping[str, object] | None:
        if not answers:
            raise OSError("gone")
        return answers.pop()

    reader = ThreadReader(read, FakeClock(), "test")
    reader.ask()
    assert wait_for(reader).document == stats_document(1)
    reader.ask()
    assert wait_for(reader).reason == "OSError: gone"
    assert reader.poll() is None
    reader.close()


def wait_for(reader: ThreadReader) -> Answer:
    """The answer; the queue below the reader waits for it."""
    return reader._answers.get(timeout=30)


def test_what_the_controller_itself_uses_is_read_with_the_containers(tmp_path: Path) -> None:
    clock = FakeClock()
    store = RunStore.create(tmp_path / "run", clock)
    store.perf_start()
    usage = {"pid": 7, "cpu_user_s": 1.5, "cpu_system_s": 0.5, "memory_rss_kib": 50_000}
    sampler = Sampler(FakeEngine(clock), clock, store, interval=5, own_usage=lambda: usage)
    for _ in range(12):
        sampler.poll()
        clock.sleep(1.0)
    rows = list(RunFolder(tmp_path / "run").rows("samples.jsonl"))
    assert [row["time"] - rows[0]["time"] for row in rows] == [0, 5, 10]
    assert {(row["source"], row["role"], row["subject"]) for row in rows} == {
        ("controller", "controller", "controller")
    }
    assert {name: rows[0][name] for name in usage} == usage


def test_the_controller_s_usage_is_this_process_s() -> None:
    usage = read_own_usage()
    assert usage["pid"] == os.getpid()
    assert usage["cpu_user_s"] > 0
    assert 1024 < usage["memory_rss_kib"] < 4 * 1024 * 1024
