"""Values in a compose file: whatever they hold, they come back as they were."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.model import Command, Limits, Mount, ResolvedRevision, RoleSpec
from loadgenctl.run.compose_file import Service, compose_file, json_text, service_keys, spec_keys
from loadgenctl.sdks import sim

SPEC = RoleSpec(name="chain", role="chain", image="image:1", command=Command(("agoric", "start")))


def filled_in(value: Any) -> Any:
    """What the compose tool makes of a value when it fills variables in."""
    match value:
        case str():
            assert "$" not in value.replace("$$", "")
            return value.replace("$$", "$")
        case list():
            return [filled_in(item) for item in value]
        case dict():
            return {filled_in(key): filled_in(item) for key, item in value.items()}
    return value


def through(value: Any) -> Any:
    """A value written, and read as the compose tool reads it."""
    return filled_in(yaml.safe_load(f"key: {json_text(value)}\n")["key"])


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SCALARS = TEXT | st.integers() | st.booleans()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


@given(VALUES)
def test_values_come_back_as_they_were(value: Any) -> None:
    back = through(value)
    assert back == value
    assert type(back) is type(value)


HOSTILE = (
    'x"\nprivileged: true\n#',
    "x\r\n    privileged: true",
    "${HOME}",
    "$HOME $$ $(id)",
    "{{ 7 * 7 }}{% raw %}",
    "!!python/object:os.system",
    "&anchor *alias",
    "yes",
    "null",
    "~",
    "1e3",
    "0x10",
    "2001-01-01",
    "\x85\u2028\ufeff\x00\x1b[31m",
    "é 😀 \\n",
    "",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(text: str) -> None:
    assert through(text) == text
    written = json_text(text)
    assert written.isascii()
    assert written.isprintable()


@pytest.mark.parametrize("number", [1.5, 2.0, 0.25, 0.01, 1234567.875, 1e12])
def test_fractions_are_numbers_for_every_yaml(number: float) -> None:
    assert "e" not in json_text(number)
    assert through(number) == number
    assert isinstance(through(number), float)


def test_a_path_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        json_text("/srv/\udcff")


@pytest.mark.parametrize("value", [None, b"bytes", object()])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(LoadgenError, match="cannot hold"):
        json_text(value)


@given(TEXT)
def test_no_text_ends_the_head_of_the_file(text: str) -> None:
    resolved = ResolvedRevision("sim", text, None, None, text, text)
    written = compose_file([Service(SPEC, "the chain node")], resolved, sim.SimSdk("1"))
    assert filled_in(yaml.safe_load(written)) == {
        "services": {"chain": service_keys(Service(SPEC, ""))}
    }


def test_limits_and_mounts_are_those_of_the_engine() -> None:
    spec = RoleSpec(
        name="chain",
        role="chain",
        image="image:1",
        command=Command(("agoric", "start"), env={"A": "b"}, workdir="/state"),
        mounts=(Mount("/a:b", "/src", read_only=True), Mount("cache", "/cache")),
        user="1000:1000",
        network="holder",
        limits=Limits(cpus=1.5, memory_bytes=2**30, pids=100),
        stop_signal="SIGINT",
    )
    told = spec_keys(spec)
    assert (told["cpus"], told["pids_limit"]) == (1.5, 100)
    assert told["mem_limit"] == told["memswap_limit"] == 2**30
    assert told["network_mode"] == "service:holder"
    assert told["volumes"] == [
        {"type": "bind", "source": "/a:b", "target": "/src", "read_only": True},
        {"type": "volume", "source": "cache", "target": "/cache", "read_only": False},
    ]
    assert (told["entrypoint"], told["command"]) == (["agoric"], ["start"])
    assert (told["user"], told["working_dir"], told["stop_signal"]) == (
        "1000:1000",
        "/state",
        "SIGINT",
    )


def test_what_is_not_set_is_not_said() -> None:
    told = spec_keys(SPEC)
    unset = {"cpus", "mem_limit", "memswap_limit", "ports", "volumes", "tmpfs"}
    assert not {*unset, "user", "read_only", "environment", "working_dir"} & set(told)
    assert None not in told.values()
