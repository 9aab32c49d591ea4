"""What only the Docker engine does: hardening, limits, networks, and broken connections to it."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import os
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docker_support import DockerUnderTest
from tests.tunnel import ENGINE_SOCKET, Tunnel
from tests.waiting import eventually

from loadgenctl.clock import SystemClock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Handle
from loadgenctl.engines.docker import DockerEngine
from loadgenctl.engines.docker_connection import connect
from loadgenctl.errors import EngineError, EngineUnavailable
from loadgenctl.model import Command, Limits, Mount, RoleSpec
from loadgenctl.owner import Owner

pytestmark = pytest.mark.docker

PATIENCE = 30.0
_RUNS = itertools.count()


class Bench:
    """An engine and containers of one run on it."""

    def __init__(self, engine: DockerEngine, image: str) -> None:
        """Everything made is removed by `clean`."""
        self.engine = engine
        self.run = f"docker-{next(_RUNS)}-{os.getpid()}"
        self._image = image
        self._serial = itertools.count()

    def spec(self, script: str, role: str = "tested") -> RoleSpec:
        """A container that runs a shell script."""
        return RoleSpec(
            name=f"loadgenctl-{self.run}-{role}-{next(self._serial)}",
            role=role,
            image=self._image,
            command=Command(("sh", "-c", script)),
            labels=ownership_labels.make(Owner.current(), self.run, role),
        )

    def started(self, spec: RoleSpec) -> Handle:
        """It, running."""
        handle = self.engine.create(spec)
        self.engine.start(handle)
        return handle

    def output(self, spec: RoleSpec) -> str:
        """What it prints until its end."""
        handle = self.started(spec)
        assert self.engine.wait(handle, PATIENCE).status == "exited"
        return b"".join(self.engine.logs(handle)).decode()

    def clean(self) -> None:
        """Remove what the test left."""
        for item in self.engine.leftovers():
            if item.labels.get(ownership_labels.RUN) == self.run:
                self.engine.remove_leftover(item)
        self.engine.close()


@pytest.fixture
def bench(docker_under_test: DockerUnderTest) -> Iterator[Bench]:
    made = Bench(docker_under_test.engine(), docker_under_test.image)
    yield made
    made.clean()


@pytest.fixture
def tunnel(tmp_path: Path) -> Iterator[Tunnel]:
    if not ENGINE_SOCKET.exists():
        pytest.fail(f"the engine under test is not at {ENGINE_SOCKET}")
    with Tunnel(tmp_path / "engine.sock") as made:
        yield made


@pytest.fixture
def tunnelled(docker_under_test: DockerUnderTest, tunnel: Tunnel) -> Iterator[Bench]:
    client = connect({"DOCKER_HOST": tunnel.url})
    made = Bench(DockerEngine(client, SystemClock()), docker_under_test.image)
    yield made
    tunnel.closed_gate = False
    made.clean()


def test_a_hardened_container_has_no_capabilities_and_gains_none(bench: Bench) -> None:
    spec = dataclasses.replace(
        bench.spec("id -u; id -g; grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status"),
        user="1234:2345",
    )
    words = bench.output(spec).split()
    assert words[:2] == ["1234", "2345"]
    assert words[2:] == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


def test_a_reaper_is_the_first_process(bench: Bench) -> None:
    assert "init" in bench.output(bench.spec("tr '\\0' ' ' </proc/1/cmdline"))


def test_the_engine_s_socket_is_not_inside(bench: Bench) -> None:
    assert bench.output(bench.spec("ls /var/run/docker.sock 2>&1 || true")).startswith("ls:")


def test_without_a_network_there_is_only_loopback(bench: Bench) -> None:
    assert bench.output(bench.spec("ls /sys/class/net")).split() == ["lo"]


def test_a_read_only_root_leaves_tmp_writable(bench: Bench) -> None:
    script = "touch /root/x 2>/dev/null || echo refused; echo ok >/tmp/x && cat /tmp/x"
    spec = dataclasses.replace(bench.spec(script), read_only_root=True)
    assert bench.output(spec).split() == ["refused", "ok"]


def test_a_memory_limit_kills_and_says_so(bench: Bench) -> None:
    spec = dataclasses.replace(
        bench.spec("exec tail /dev/zero"), limits=Limits(memory_bytes=32 * 1024 * 1024)
    )
    state = bench.engine.wait(bench.started(spec), PATIENCE)
    assert (state.exit_code, state.oom_killed) == (137, True)


def test_limits_are_the_engine_s(bench: Bench, docker_under_test: DockerUnderTest) -> None:
    limits = Limits(cpus=0.5, memory_bytes=64 * 1024 * 1024, pids=40)
    handle = bench.started(dataclasses.replace(bench.spec("exec sleep 600"), limits=limits))
    client = docker_under_test.client()
    config = client.containers.get(handle.id).attrs["HostConfig"]
    client.close()
    assert config["NanoCpus"] == 500_000_000
    assert config["Memory"] == config["MemorySwap"] == 64 * 1024 * 1024
    assert config["PidsLimit"] == 40


def test_roles_that_join_a_holder_meet_on_loopback(bench: Bench) -> None:
    holder = bench.started(bench.spec("exec sleep 600", "holder"))
    listener = (
        "exec perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0); setsockopt(S,SOL_SOCKET,"
        "SO_REUSEADDR,1); bind(S,sockaddr_in(3352,INADDR_ANY)) or die; listen(S,5); $|=1; "
        'print "up\\n"; while(accept(C,S)){print C "HTTP/1.0 200 OK\\r\\n\\r\\nhello"; close C}\''
    )
    server = bench.started(dataclasses.replace(bench.spec(listener, "server"), network=holder.name))
    eventually(lambda: bench.engine.tail(server, 1) == ["up"])
    ask = "exec 3<>/dev/tcp/127.0.0.1/3352; cat <&3"
    spec = dataclasses.replace(bench.spec("", "asker"), network=holder.name)
    command = dataclasses.replace(spec.command, argv=("bash", "-c", ask))
    assert "hello" in bench.output(dataclasses.replace(spec, command=command))


def test_ports_are_published_on_loopback_only(
    bench: Bench, docker_under_test: DockerUnderTest
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listener = (
        "exec perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0); bind(S,sockaddr_in(8000,"
        "INADDR_ANY)) or die; listen(S,5); while(accept(C,S)){sysread(C,$x,4096); "
        'print C "HTTP/1.0 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello"; close C}\''
    )
    spec = dataclasses.replace(bench.spec(listener), network="own", publish={8000: port})
    handle = bench.started(spec)
    answers: list[bytes] = []

    def answered() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as response:
                answers.append(response.read())
        except OSError:
            return False
        return True

    eventually(answered)
    assert answers == [b"hello"]
    client = docker_under_test.client()
    ports = client.containers.get(handle.id).attrs["NetworkSettings"]["Ports"]
    client.close()
    assert ports == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}


def test_folders_are_mounted_as_asked(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host\n")
    tmp_path.chmod(0o777)
    mounts = (Mount(str(tmp_path), "/rw"), Mount(str(tmp_path), "/ro", read_only=True))
    script = "cat /ro/given; echo back >/rw/made; touch /ro/x 2>/dev/null || echo refused"
    output = bench.output(dataclasses.replace(bench.spec(script), mounts=mounts))
    assert output.splitlines() == ["from the host", "refused"]
    assert (tmp_path / "made").read_text() == "back\n"


def test_a_folder_that_is_not_there_is_an_error_and_is_not_made(
    bench: Bench, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    spec = dataclasses.replace(bench.spec("true"), mounts=(Mount(str(missing), "/x"),))
    with pytest.raises(EngineError, match="missing"):
        bench.started(spec)
    assert not missing.exists()


def test_named_volumes_outlive_containers_and_carry_no_owner(bench: Bench) -> None:
    name = f"loadgenctl-test-{bench.run}"
    mounts = (Mount(name, "/cache"),)
    bench.output(dataclasses.replace(bench.spec("echo kept >/cache/x"), mounts=mounts))
    again = dataclasses.replace(bench.spec("cat /cache/x"), mounts=mounts)
    try:
        assert bench.output(again) == "kept\n"
        found = [item for item in bench.engine.leftovers() if item.name == name]
        assert [(item.kind, ownership_labels.OWNER_PID in item.labels) for item in found] == [
            ("volume", False)
        ]
    finally:
        for item in bench.engine.leftovers():
            if item.labels.get(ownership_labels.RUN) == bench.run:
                bench.engine.remove_leftover(item)
        for item in found:
            bench.engine.remove_leftover(item)
            bench.engine.remove_leftover(item)


def test_an_image_that_is_not_there_is_named(bench: Bench) -> None:
    spec = dataclasses.replace(bench.spec("true"), image="loadgenctl-test/none:none")
    with pytest.raises(EngineError, match=r"loadgenctl-test/none:none") as caught:
        bench.engine.create(spec)
    assert caught.value.hint is not None


def test_a_program_that_is_not_there_is_an_error(bench: Bench) -> None:
    spec = bench.spec("true")
    command = dataclasses.replace(spec.command, argv=("/no/such/program",))
    handle = bench.engine.create(dataclasses.replace(spec, command=command))
    bench.engine.start(handle)
    assert bench.engine.wait(handle, PATIENCE).exit_code == 127


def test_a_killed_execution_takes_its_children_along(bench: Bench) -> None:
    handle = bench.started(bench.spec("exec sleep 600"))
    with pytest.raises(EngineError, match="did not finish"):
        bench.engine.exec(handle, ["sh", "-c", "sleep 500 & sleep 500; true"], timeout=0.5)
    listed = ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]
    eventually(lambda: b"sleep 500" not in bench.engine.exec(handle, listed).output)


def test_an_engine_that_is_not_there_is_said_so_quickly(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(EngineUnavailable) as caught:
        connect({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert time.monotonic() - began < 5
    assert caught.value.exit_code == 2
    assert "no such file" in caught.value.message
    assert "start that engine" in (caught.value.hint or "")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(EngineUnavailable, match="timed out"):
            connect({"DOCKER_HOST": f"unix://{tmp_path}/silent.sock"})
    assert time.monotonic() - began < 10
    gc.collect()  # docker-py leaves the socket of a client that it could not make


def test_a_follower_resumes_where_its_connection_broke(tunnelled: Bench, tunnel: Tunnel) -> None:
    script = "n=0; while [ $n -lt 40 ]; do echo line $n; n=$((n+1)); sleep 0.05; done"
    handle = tunnelled.started(tunnelled.spec(script))
    follower = tunnelled.engine.follow(handle)
    seen = bytearray()

    def reached(line: bytes) -> bool:
        seen.extend(follower.poll())
        return line in seen

    eventually(lambda: reached(b"line 5\n"))
    tunnel.cut()
    eventually(lambda: reached(b"line 39\n"))
    assert seen == b"".join(b"line %d\n" % n for n in range(40))


def test_an_end_is_noticed_although_the_events_broke_off(tunnelled: Bench, tunnel: Tunnel) -> None:
    handle = tunnelled.started(tunnelled.spec("sleep 1; exit 4"))
    assert tunnelled.engine.state(handle).running
    tunnel.cut()
    assert tunnelled.engine.wait(handle, 5.0).exit_code == 4


def test_events_arrive_again_after_they_broke_off(tunnelled: Bench, tunnel: Tunnel) -> None:
    first = tunnelled.started(tunnelled.spec("exec sleep 600"))
    assert tunnelled.engine.state(first).running
    tunnel.cut()
    second = tunnelled.started(tunnelled.spec("sleep 2; exit 5"))
    began = time.monotonic()
    assert tunnelled.engine.wait(second, 10.0).exit_code == 5
    assert time.monotonic() - began < 9


def test_an_engine_that_went_away_is_an_error_in_time(tunnelled: Bench, tunnel: Tunnel) -> None:
    handle = tunnelled.started(tunnelled.spec("exec sleep 600"))
    tunnel.closed_gate = True
    tunnel.cut()
    began = time.monotonic()
    with pytest.raises(EngineUnavailable, match="does not answer"):
        tunnelled.engine.exec(handle, ["true"])
    with pytest.raises(EngineUnavailable, match="does not answer"):
        tunnelled.engine.leftovers()
    assert time.monotonic() - began < 10
    tunnel.closed_gate = False
    assert tunnelled.engine.state(handle).running


def test_asking_for_the_state_costs_no_call(tunnelled: Bench, tunnel: Tunnel) -> None:
    handle = tunnelled.started(tunnelled.spec("exec sleep 600"))
    eventually(lambda: tunnelled.engine.state(handle).running)

    def costs_nothing() -> bool:
        began = time.perf_counter()
        for _ in range(1000):
            tunnelled.engine.state(handle)
        return time.perf_counter() - began < 0.5

    # Not at once: the events of the start may still come in.
    eventually(costs_nothing)
