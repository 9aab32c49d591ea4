"""Role specs as Docker's arguments, and Docker's documents as our states."""

from __future__ import annotations

import dataclasses

import pytest
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from tests.fakes import FakeClock

from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import RoleState
from loadgenctl.engines.docker_errors import retrying, translated
from loadgenctl.engines.docker_spec import (
    all_labels,
    container_arguments,
    host_config_arguments,
    network_mode,
    role_state,
)
from loadgenctl.errors import EngineError, EngineUnavailable
from loadgenctl.model import NAMED, Command, Limits, Mount, RoleSpec

SPEC = RoleSpec(
    name="loadgenctl-1-chain",
    role="chain",
    image="image:1",
    command=Command(("agoric", "start"), env={"A": "b"}, workdir="/state"),
    user="1000:1000",
    labels={ownership_labels.RUN: "1"},
    stop_signal="SIGINT",
)


def test_a_container_is_hardened_unless_told_otherwise() -> None:
    hardened = host_config_arguments(SPEC)
    assert hardened["init"] is True
    assert hardened["cap_drop"] == ["ALL"]
    assert hardened["security_opt"] == ["no-new-privileges"]
    soft = host_config_arguments(dataclasses.replace(SPEC, hardened=False))
    assert "cap_drop" not in soft
    assert "security_opt" not in soft


def test_the_command_replaces_an_image_s_entry_point() -> None:
    arguments = container_arguments(SPEC)
    assert arguments["entrypoint"] == ["agoric"]
    assert arguments["command"] == ["start"]
    assert arguments["environment"] == {"A": "b"}
    assert arguments["working_dir"] == "/state"
    assert arguments["stop_signal"] == "SIGINT"
    assert arguments["user"] == "1000:1000"


def test_the_role_is_always_a_label() -> None:
    assert all_labels(SPEC) == {ownership_labels.ROLE: "chain", ownership_labels.RUN: "1"}


def test_limits_become_the_engine_s_and_leave_no_swap() -> None:
    limits = Limits(cpus=1.5, memory_bytes=2**30, pids=100)
    arguments = host_config_arguments(dataclasses.replace(SPEC, limits=limits))
    assert arguments["nano_cpus"] == 1_500_000_000
    assert arguments["mem_limit"] == arguments["memswap_limit"] == 2**30
    assert arguments["pids_limit"] == 100
    unlimited = host_config_arguments(SPEC)
    assert not {"nano_cpus", "mem_limit", "memswap_limit"} & set(unlimited)
    assert unlimited["pids_limit"] > 100, "nothing may fork without end"


@pytest.mark.parametrize(
    ("network", "mode"),
    [("own", "bridge"), ("none", "none"), ("host", "host"), ("holder-1", "container:holder-1")],
)
def test_networks(network: str, mode: str) -> None:
    assert network_mode(network) == mode


def test_a_network_of_the_engine_is_joined_by_its_name() -> None:
    assert network_mode(f"{NAMED}testing") == "testing"


def test_ports_are_bound_to_loopback() -> None:
    spec = dataclasses.replace(SPEC, network="own", publish={8000: 18000})
    assert host_config_arguments(spec)["port_bindings"] == {8000: ("127.0.0.1", 18000)}
    assert container_arguments(spec)["ports"] == [8000]


def test_folders_are_bound_and_names_are_labelled_volumes() -> None:
    mounts = (Mount("/host", "/in", read_only=True), Mount("cache", "/cache"))
    bind, volume = host_config_arguments(dataclasses.replace(SPEC, mounts=mounts))["mounts"]
    assert (bind["Type"], bind["Source"], bind["ReadOnly"]) == ("bind", "/host", True)
    assert (volume["Type"], volume["ReadOnly"]) == ("volume", False)
    assert ownership_labels.OWNER_PID not in volume["VolumeOptions"]["Labels"]


def test_the_log_is_bounded() -> None:
    config = host_config_arguments(SPEC)["log_config"]
    assert config["Type"] == "local"
    assert int(config["Config"]["max-size"]) * int(config["Config"]["max-file"]) == 2**28


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            {"Status": "created", "ExitCode": 0, "StartedAt": "0001-01-01T00:00:00Z"},
            RoleState("created"),
        ),
        (
            {"Status": "running", "ExitCode": 0, "StartedAt": "2023-11-14T22:13:20.25Z"},
            RoleState("running", started_at=1_700_000_000.25),
        ),
        (
            {
                "Status": "exited",
                "ExitCode": 137,
                "OOMKilled": True,
                "StartedAt": "2023-11-14T22:13:20.123456789Z",
            },
            RoleState("exited", exit_code=137, oom_killed=True, started_at=1_700_000_000.123456789),
        ),
        (
            {"Status": "dead", "ExitCode": 1, "Error": "why", "StartedAt": "2023-11-14T22:13:20Z"},
            RoleState("exited", exit_code=1, error="why", started_at=1_700_000_000.0),
        ),
    ],
)
def test_states(state: dict[str, object], expected: RoleState) -> None:
    assert role_state({"State": state}) == expected


def api_error(status: int, text: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError(text, response=response, explanation=text)


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (api_error(500, "driver failed"), EngineError, "cannot do it: driver failed"),
        (ImageNotFound("No such image: x", explanation="No such image: x"), EngineError, "image"),
        (requests.exceptions.ConnectionError("Connection refused"), EngineUnavailable, "refused"),
        (ConnectionResetError("reset"), EngineUnavailable, "does not answer"),
        (DockerException("odd"), EngineError, "odd"),
    ],
)
def test_failures_are_translated(
    raised: Exception, expected: type[EngineError], words: str
) -> None:
    with pytest.raises(expected, match=words) as caught, translated("do it"):
        raise raised
    assert type(caught.value) is expected


class Flaky:
    """Fails a few times, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)
        return "answer"


def test_what_may_pass_is_tried_again_on_the_given_clock() -> None:
    clock = FakeClock()
    call = Flaky(api_error(503, "busy"), requests.exceptions.ReadTimeout("late"))
    assert retrying(clock, call) == "answer"
    assert call.calls == 3
    assert clock.slept == [0.2, 0.4]


@pytest.mark.parametrize("error", [NotFound("none"), api_error(409, "conflict"), ValueError("x")])
def test_what_does_not_pass_is_raised_at_once(error: Exception) -> None:
    call = Flaky(error)
    with pytest.raises(type(error)):
        retrying(FakeClock(), call)
    assert call.calls == 1
