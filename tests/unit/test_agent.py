"""The agent that runs in the chain container: parsing, choosing, and once for real."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

AGENT = Path(__file__).parents[2] / "images" / "agent"
WORKERS = 24

STATUS = b"""Name:\txsnap
VmPeak:\t   59508 kB
VmHWM:\t   49312 kB
VmRSS:\t   49300 kB
RssAnon:\t   46088 kB
Threads:\t1
VmPTE:\tgarbage
"""


@pytest.fixture
def agent_path() -> Iterator[None]:
    """The agent's modules find each other as they do where it runs: beside the script."""
    sys.path.insert(0, str(AGENT))
    yield
    sys.path.remove(str(AGENT))


@pytest.fixture
def procfs(agent_path: None) -> Any:
    return importlib.import_module("agent_procfs")


@pytest.fixture
def processes(agent_path: None) -> Any:
    return importlib.import_module("agent_processes")


@pytest.fixture
def storage(agent_path: None) -> Any:
    return importlib.import_module("agent_storage")


@pytest.fixture
def agent(agent_path: None) -> Any:
    return importlib.import_module("agent")


def stat_line(name: str = "xsnap", fields: int = 52) -> bytes:
    """A /proc/PID/stat whose field N (as proc(5) counts) holds 100 N."""
    rest = ["S", *(str(100 * number) for number in range(4, fields + 1))]
    return f"17 ({name}) {' '.join(rest)}\n".encode()


@pytest.mark.parametrize("name", ["xsnap", "a) S 1 (b", "tmux: server", ""])
def test_stat_is_read_whatever_the_process_is_called(procfs: Any, name: str) -> None:
    found = procfs.parse_stat(stat_line(name))
    assert found.parent == 400
    assert found.threads == 2000
    assert found.start_ticks == 2200
    assert found.rss_kib == 2400 * procfs.PAGE_KIB
    assert found.times["cpu_user_s"] == 1400 / procfs.TICKS
    assert found.times["cpu_children_guest_s"] == 4400 / procfs.TICKS
    assert not found.dead


def test_fields_that_an_old_kernel_lacks_are_missing_not_zero(procfs: Any) -> None:
    assert procfs.parse_stat(stat_line(fields=41)).times["io_wait_s"] is None


@pytest.mark.parametrize("content", [b"", b"17 (xsnap", b"17 (xsnap) S 1 2"])
def test_what_is_no_stat_is_refused(procfs: Any, content: bytes) -> None:
    with pytest.raises(ValueError, match="not a /proc"):
        procfs.parse_stat(content)


def test_status_gives_kib_and_none_for_what_it_does_not_say(procfs: Any) -> None:
    found = procfs.parse_status(STATUS)
    assert found["memory_peak_vms_kib"] == 59508
    assert found["memory_rss_kib"] == 49300
    assert found["memory_page_tables_kib"] is None
    assert found["memory_swap_kib"] is None


@pytest.mark.parametrize(
    ("argv", "vat"),
    [
        (["/src/packages/xsnap/build/bin/lin/release/xsnap", "v1:bank"], ("v1", "bank")),
        (["xsnap", "v16:undefined", "-l", "0"], ("v16", None)),
        (["xsnap-worker", "-r", "/x", "v9:a:b"], ("v9", "a:b")),
        (["xsnap", "v7:"], ("v7", None)),
        (["rr", "/x/xsnap", "v3:zoe"], ("v3", "zoe")),
        (["xsnap", "-v"], None),
        (["node", "v1:bank"], None),
        ([], None),
    ],
)
def test_a_vat_worker_is_known_by_its_command_line(
    procfs: Any, argv: list[str], vat: tuple[str, str | None] | None
) -> None:
    assert procfs.parse_vat(argv) == vat


@pytest.mark.parametrize(
    ("argv", "chain"),
    [
        (["node", "--inspect", "/src/c/bin/../src/chain-entrypoint.cjs", "start"], True),
        (["ag-chain-cosmos", "start"], True),
        (["/usr/bin/python3", "/src/bin/sim-chain", "start"], True),
        (["/usr/bin/python3", "-u", "/src/sim_chain.py"], True),
        (["/bin/bash", "/src/bin/ag-chain-cosmos", "start"], False),
        (["/sbin/docker-init", "--", "ag-chain-cosmos", "start"], False),
        (["node", "/src/packages/agoric-cli/bin/agoric", "start", "local-chain"], False),
        ([], False),
    ],
)
def test_a_chain_node_is_known_by_its_command_line(
    procfs: Any, argv: list[str], chain: bool
) -> None:
    assert procfs.is_kernel(argv) is chain


def test_another_chain_s_node_can_be_described(procfs: Any) -> None:
    assert procfs.is_kernel(["mychaind", "start"], r"^mychaind\b")
    assert not procfs.is_kernel(["ag-chain-cosmos"], r"^mychaind\b")


NODE = ["node", "chain-entrypoint.cjs", "start"]


@pytest.mark.parametrize(
    ("tree", "kernel"),
    [
        # pid: (parent, command line)
        ({1: (0, ["tini"]), 2: (1, ["launcher"]), 3: (2, NODE)}, 3),
        # a launcher with the name, before the first worker
        ({1: (0, ["x"]), 2: (1, ["ag-chain-cosmos"]), 3: (2, NODE)}, 3),
        # a child between fork and exec looks like its parent
        ({1: (0, ["x"]), 2: (1, NODE), 3: (2, NODE)}, 2),
        # the one that has the workers, whatever else is there
        ({1: (0, ["x"]), 2: (1, NODE), 3: (2, ["xsnap", "v1:a"]), 4: (1, ["agd", "q"])}, 2),
        # nothing has the name
        ({1: (0, ["x"]), 2: (1, ["other"]), 3: (2, ["xsnap", "v1:a"])}, 2),
        ({1: (0, ["x"]), 2: (1, ["other"])}, None),
    ],
)
def test_the_kernel_is_the_node_that_works(
    processes: Any, procfs: Any, tree: dict[int, tuple[int, list[str]]], kernel: int | None
) -> None:
    known = {
        pid: processes.Known(1, tuple(argv), procfs.parse_vat(argv), None)
        for pid, (_, argv) in tree.items()
    }
    parents = {pid: parent for pid, (parent, _) in tree.items()}
    assert processes.choose_kernel(known, parents) == kernel


def test_only_what_is_below_the_root_counts(processes: Any) -> None:
    parents = {1: 0, 2: 1, 3: 2, 9: 0, 10: 9}
    assert processes.subtree(parents, 1) == [1, 2, 3]


def test_storage_is_what_du_counts(storage: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "full").write_bytes(os.urandom(100 * 1024))
    os.link(tmp_path / "data" / "full", tmp_path / "data" / "link")
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(50 * 1024 * 1024)
    (tmp_path / "loop").symlink_to(tmp_path)
    files, total, wrong = storage.storage_usage(str(tmp_path))
    assert len([name for name in files if name.startswith("data/")]) == 1
    assert files["sparse"] == 0
    assert 100 <= total < 200
    assert wrong == []


def test_the_flight_recorder_is_told_but_is_no_part_of_the_total(
    storage: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "agoric"
    folder.mkdir(parents=True)
    for name in ("swingstore.sqlite", "swingstore.sqlite-wal", "flight-recorder.bin"):
        (folder / name).write_bytes(os.urandom(64 * 1024))
    files, total, wrong = storage.storage_usage(str(tmp_path))
    assert files.pop("data/agoric/flight-recorder.bin") >= 64
    assert len(files) == 2
    assert total == sum(files.values()) >= 128
    assert wrong == []


def test_many_files_are_summed_but_not_all_told(storage: Any, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"x" * 5000)
    files, total, wrong = storage.storage_usage(str(tmp_path), most=2)
    assert len(files) == 2
    assert total > sum(files.values())
    assert wrong == ["3 more files are in the total only"]


def test_a_storage_folder_that_is_not_there_is_an_error(storage: Any, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        storage.storage_usage(str(tmp_path / "nowhere"))


def test_times_missed_are_left_out(agent: Any) -> None:
    assert agent.following(10.0, 5.0, 9.0) == 10.0
    assert agent.following(10.0, 5.0, 10.0) == 15.0
    assert agent.following(10.0, 5.0, 31.0) == 35.0
    assert agent.following(None, 0.0, 31.0) is None


def test_a_request_is_served_once_and_old_ones_never(agent: Any, tmp_path: Path) -> None:
    path = tmp_path / "request"
    path.write_text("old")
    requests = agent.Requests(str(path))
    assert requests.next() is None
    path.write_text("new\n")
    assert requests.next() == "new"
    assert requests.next() is None


def test_without_room_lines_are_lost_and_counted(agent: Any, tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    out = agent.Output(str(tmp_path / "full"))
    out.write({"kind": "light"})
    row: dict[str, Any] = {"kind": "light"}
    out.write(row)
    assert row["lost_lines"] == 1


CHAIN = """
import subprocess, sys
workers = [
    subprocess.Popen(
        ["xsnap", "-c", "read x", f"v{n}:" + ("undefined" if n > 15 else f"name{n}")],
        executable="/bin/sh", stdin=subprocess.PIPE,
    )
    for n in range(1, int(sys.argv[1]) + 1)
]
print("ready", flush=True)
for line in sys.stdin:
    last = workers.pop()
    last.kill()
    last.wait()
    print("gone", flush=True)
"""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that looks like a chain node with its vat workers."""
    script = tmp_path / "sim-chain"
    script.write_text(CHAIN)
    with subprocess.Popen(
        [sys.executable, str(script), str(WORKERS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)


def command(out: Path, root: int, *more: str) -> list[str]:
    argv = [sys.executable, str(AGENT / "agent.py"), "--out", str(out), "--root-pid", str(root)]
    return [*argv, *more]


def test_a_real_process_tree_is_sampled(chain: subprocess.Popen[str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "db").write_bytes(b"x" * 20000)
    out = tmp_path / "samples"
    done = subprocess.run(
        command(out, chain.pid, "--once", "--storage", str(store)),
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert done.stdout + done.stderr == b""
    first, sample = [json.loads(line) for line in out.read_text().splitlines()]
    assert first["kind"] == "start"
    assert sample["kernel"]["pid"] == chain.pid
    assert sample["kernel"]["memory_peak_rss_kib"] >= 1000
    assert [vat["vat"] for vat in sample["vats"]] == [f"v{n}" for n in range(1, WORKERS + 1)]
    assert [vat["name"] for vat in sample["vats"][13:16]] == ["name14", "name15", None]
    assert all(vat["memory_rss_kib"] > 0 for vat in sample["vats"])
    assert sample["totals"]["workers"] == WORKERS
    assert sample["storage"]["db"] == sample["storage_total_kib"] > 0
    assert sample["errors"] == {}
    assert sample["agent"]["memory_rss_kib"] <= 25 * 1024


def test_it_follows_the_tree_until_it_ends(chain: subprocess.Popen[str], tmp_path: Path) -> None:
    assert chain.stdin is not None
    assert chain.stdout is not None
    out = tmp_path / "pipe"
    # A pipe for the file, so that reading waits for the next sample by itself.
    os.mkfifo(out)
    argv = command(out, chain.pid, "--light", "0.05", "--full", "0", "--storage", "/nowhere")
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as running, out.open() as lines:
        rows = (json.loads(line) for line in lines)
        assert next(rows)["kind"] == "start"
        assert next(rows)["totals"]["workers"] == WORKERS
        print("one less", file=chain.stdin, flush=True)
        assert chain.stdout.readline() == "gone\n"
        while next(rows)["totals"]["workers"] == WORKERS:
            pass
        (tmp_path / "pipe.request").write_text("now")
        sample = next(row for row in rows if "request" in row)
        assert sample["kind"] == "full"
        assert len(sample["vats"]) == WORKERS - 1
        assert sample["storage"] is None
        assert "No such file" in sample["errors"]["storage"]
        os.killpg(chain.pid, signal.SIGKILL)
        chain.wait(timeout=30)
        *_, last = rows
        assert last["kind"] == "end"
        assert last["reason"] == "the watched process ended"
        assert running.wait(timeout=30) == 0


def test_it_ends_on_sigterm_and_two_do_not_write_one_file(
    chain: subprocess.Popen[str], tmp_path: Path
) -> None:
    out = tmp_path / "pipe"
    os.mkfifo(out)
    argv = command(out, chain.pid, "--light", "0.05", "--full", "0")
    with subprocess.Popen(argv) as running, out.open() as lines:
        rows = (json.loads(line) for line in lines)
        assert next(rows)["kind"] == "start"
        # The signal is blocked from the first sample on, and taken when it suits.
        assert next(rows)["kind"] == "light"
        assert subprocess.run(argv, check=False, timeout=30).returncode == 2
        running.send_signal(signal.SIGTERM)
        *_, last = rows
        assert last["reason"] == "SIGTERM"
        assert running.wait(timeout=30) == 0
