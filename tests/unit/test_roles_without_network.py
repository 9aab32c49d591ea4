"""Roles on an engine without networks: no holder, and ports that have to be free."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import FakeClock, FakeEngine
from tests.worlds import World

from loadgenctl.errors import RunError, UsageError
from loadgenctl.model import Command, Ports
from loadgenctl.owner import Owner
from loadgenctl.roles.host_ports import require_free
from loadgenctl.roles.pod import Pod, PodFolders, PodOptions
from loadgenctl.run.runner import execute


class WithoutNetwork(FakeEngine):
    """An engine whose roles share the machine's network."""

    own_network = False


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_free_ports_are_no_trouble(taken: int) -> None:
    (free,) = free_ports(1)
    require_free({free: "chain"})
    require_free({})


def test_a_taken_port_is_told_with_its_owner(taken: int) -> None:
    with pytest.raises(UsageError) as caught:
        require_free({taken: "solo"})
    assert caught.value.message.startswith(f"the port {taken} of the solo (by ")
    assert f"pid {os.getpid()})" in caught.value.message
    assert caught.value.exit_code == 2


def test_one_that_listens_at_all_addresses_is_in_the_way_too() -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as server,
        pytest.raises(UsageError, match="is in use"),
    ):
        require_free({server.getsockname()[1]: "chain"})


def test_all_that_are_taken_are_named(taken: int) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(UsageError, match=r"the ports .* of the chain .* of the solo .* are in use"),
    ):
        require_free({other.getsockname()[1]: "chain", taken: "solo"})


def made_pod(folder: Path, engine: FakeEngine) -> Pod:
    options = PodOptions(run_id="r", image="", user="0:0", owner=Owner.current())
    return Pod(engine, options, PodFolders(folder, folder, folder), FakeClock())


def test_there_is_no_holder_to_join(tmp_path: Path, taken: int) -> None:
    engine = WithoutNetwork(FakeClock())
    pod = made_pod(tmp_path, engine)
    pod.open({})
    assert engine.containers == []
    assert pod.spec("chain", Command(("true",))).network == "host"
    with pytest.raises(RunError):
        _ = pod.holder
    with pytest.raises(UsageError, match="is in use"):
        pod.open({taken: "chain"})


def test_containers_do_not_care_for_the_machines_ports(tmp_path: Path, taken: int) -> None:
    engine = FakeEngine(FakeClock())
    pod = made_pod(tmp_path, engine)
    pod.open({taken: "chain"})
    assert [container.spec.role for container in engine.containers] == ["holder"]


def test_a_run_needs_no_image_where_there_is_none(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.make_engine = WithoutNetwork
    plan = world.plan(
        "--engine local --stages 1 --stage.duration 10 --stage.0.loadgen.faucet.interval 5"
    )
    asked = dict(zip(("chain", "solo", "loadgen"), free_ports(3), strict=True))
    plan = replace(plan, ports=Ports(**asked))
    ending = execute(plan, replace(world.services(), make_image=None))
    assert ending.error is None, ending.error
    roles = {container.spec.role for container in world.engine.containers}
    assert roles == {"setup", "chain", "solo", "loadgen"}
    assert {container.spec.image for container in world.engine.containers} == {""}
    run = json.loads((ending.folder / "run.json").read_text())
    assert run["image"] is None
    assert run["plan"]["ports"] == asked
    assert world.engine.latest("chain").spec.command.env["SIM_RPC_PORT"] == str(asked["chain"])
    assert world.engine.latest("solo").spec.command.env["SIM_SOLO_PORT"] == str(asked["solo"])
    assert str(asked["loadgen"]) in world.engine.latest("loadgen").spec.command.argv


def test_only_the_roles_that_will_run_need_their_ports(tmp_path: Path, taken: int) -> None:
    rpc, load = free_ports(2)
    ports = Ports(rpc, taken, load)
    for line, ends_well in (("--chain-only", True), ("--stage.0.loadgen", False)):
        world = World(tmp_path / line)
        world.folder.mkdir()
        world.make_engine = WithoutNetwork
        plan = replace(world.plan(f"--engine local --stages 1 {line}"), ports=ports)
        ending = execute(plan, replace(world.services(), make_image=None))
        assert (ending.error is None) == ends_well
        assert ends_well == bool(world.engine.containers)
