"""A whole run of the simulated SDK on a real engine, by the command line as another process.

What a run leaves on the engine is looked for by the process that owned it, so that other runs on
the same engine disturb nothing.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import zstandard
from tests.integration.loadgenctl_process import (
    CHAIN_STOPPED,
    ROLES,
    SIM,
    Desk,
    Ended,
    Loadgenctl,
    Records,
)
from tests.integration.published import PUBLISHED, Answer, ask, free

pytestmark = pytest.mark.docker

TASKS = ("faucet", "amm", "vault")
LOAD = [word for task in TASKS for word in (f"--stage.loadgen.{task}.interval", "1")]


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
        assert host["ReadonlyRootfs"]
        assert set(host["Tmpfs"]) == {"/tmp", "/run"}
        assert host["PidsLimit"] == 4096
        assert not host["PortBindings"]
        assert document["Config"]["User"].partition(":")[0] not in {"", "0", "root"}
        mounts = {mount["Destination"]: mount for mount in document["Mounts"]}
        assert {name for name, mount in mounts.items() if mount["RW"]} == {"/out", "/state"}
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
    load_down = ["loadgen-stopped", "client-stopped"]
    alone = ["stage-ready", "stage-shutdown", *CHAIN_STOPPED]
    load_on = ["load-start", "stage-ready", "load-finish", "stage-shutdown"]
    prepared = [*chain_up, *first, *load_up, *load_down, *alone]
    loaded = [*chain_up, *first, *load_up, *load_on, *load_down, *CHAIN_STOPPED]
    bootstrap = ["chain-first-init-start", "chain-first-init-finish"]
    assert [name for name in records.perf(0) if name not in bootstrap] == prepared
    assert [name for name in records.perf(0) if name in bootstrap] == bootstrap
    assert records.perf(1) == loaded
    assert records.perf(2) == [*chain_up, *first, *alone]
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


def test_published_ports_answer_on_loopback(
    desk: Desk, under_load: Callable[..., tuple[Loadgenctl, Records]]
) -> None:
    if not free(*PUBLISHED):
        pytest.skip("somebody uses the ports that would be published")
    command, records = under_load("--publish", settings=desk.settings())
    status = json.loads(ask(26657, "/status").text)
    assert int(status["result"]["sync_info"]["latest_block_height"]) > 0
    assert json.loads(ask(3352, "/config").text)["faucet"]["interval"] == 1
    answer = ask(3352, "/config", put='{"amm": {"interval": 1}}')
    assert answer == Answer(200, "config updated\n")
    command.until(
        lambda: any(row["task"] == "amm" for row in records.rows("cycles.jsonl")),
        "the new load runs",
    )
    command.ctrl_c()
    assert command.end().exit_code == 130
    assert free(*PUBLISHED)
