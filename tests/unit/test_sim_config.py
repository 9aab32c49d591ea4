"""The simulated SDK's configuration: what is taken, and what is refused with which words."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from images.sim.simsdk.config import ConfigError, SimConfig, load, parse

from loadgenctl import resources

DEFAULT = resources.images("sim", "default.toml")


def test_the_documented_defaults_are_the_defaults() -> None:
    assert parse(tomllib.loads(DEFAULT.read_text())) == SimConfig() == parse({})


def test_every_key_is_documented() -> None:
    document = tomllib.loads(DEFAULT.read_text())
    sections = {name: value for name, value in document.items() if isinstance(value, dict)}
    for name, table in sections.items():
        assert set(table) == set(vars(getattr(SimConfig(), name)))
    assert set(document) == set(vars(SimConfig())) - {"faults", "network"}


def test_a_partial_file_keeps_the_other_defaults() -> None:
    config = parse({"seed": 7, "chain": {"block_time": 2}, "vats": {"static": ["zoe"]}})
    assert config.seed == "7"
    assert config.chain.block_time == 2.0
    assert config.chain.rpc_port == 26657
    assert config.vats.static == ("zoe",)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"chian": {}}, "unknown key 'chian'; did you mean 'chain'?"),
        ({"chain": {"blocktime": 1}}, "unknown key 'chain.blocktime'; did you mean 'block_time'?"),
        ({"growth": {"zzz": 1}}, "unknown key 'growth.zzz'; known keys: memory_per_delivery"),
        ({"chain": 3}, r"\[chain\] must be a table"),
        ({"chain": {"block_time": "fast"}}, "chain.block_time must be a number"),
        ({"chain": {"block_time": True}}, "chain.block_time must be a number"),
        ({"chain": {"block_time": 0}}, "chain.block_time must be at least 0.01"),
        ({"chain": {"block_time": float("nan")}}, "chain.block_time must be at least 0.01"),
        ({"chain": {"rpc_port": 70000}}, "chain.rpc_port must be between 1 and 65535"),
        ({"cost": {"computrons": 1.5}}, "cost.computrons must be a whole number"),
        ({"cost": {"spread": 2}}, "cost.spread must be between 0 and 1"),
        ({"vats": {"static": []}}, "at least one name"),
        ({"vats": {"static": ["a", "a"]}}, "none twice"),
        ({"vats": {"static": ["a/b"]}}, "plain names"),
        ({"vats": {"static": "zoe"}}, "must be a list of strings"),
        ({"slog": {"dialect": "2019"}}, "slog.dialect must be one of 2021, 2022, 2024, modern"),
        ({"seed": 1.5}, "seed must be a string or a whole number"),
        ({"fault": {"kind": "chain-crash"}}, r"\[\[fault\]\]"),
        ({"fault": [3]}, "fault 1 must be a table"),
        ({"fault": [{"kind": "chain-crush"}]}, "did you mean 'chain-crash'?"),
        ({"fault": [{}]}, "unknown kind 'None'; kinds: chain-crash"),
        ({"fault": [{"kind": "chain-crash"}]}, "needs at_block or after_blocks"),
        ({"fault": [{"kind": "chain-crash", "at_blok": 3}]}, "did you mean 'at_block'?"),
        ({"fault": [{"kind": "chain-crash", "at_block": "3"}]}, "at_block must be a whole number"),
        ({"fault": [{"kind": "slow-start", "role": "loadgen"}]}, "role must be one of chain, solo"),
        ({"fault": [{"kind": "cycle-fails", "task": "vualt"}]}, "task must be any, faucet"),
        ({"fault": [{"kind": "cycle-fails", "rate": 2}]}, "rate must be between 0 and 1"),
        ({"fault": [{"kind": "cycle-fails", "stage": "1"}]}, "stage must be a whole number"),
        ({"fault": [{"kind": "slog-torn", "at_block": 1, "newline": 1}]}, "true or false"),
    ],
)
def test_refusals_name_the_key_and_the_way_out(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(document)


def test_the_file_comes_from_the_argument_then_the_environment(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text('seed = "first"')
    second.write_text('seed = "second"')
    environ = {"SIM_CONFIG": str(second)}
    assert load(str(first), environ).seed == "first"
    assert load(None, environ).seed == "second"
    assert load(None, {}) == SimConfig()


def test_ports_can_be_set_by_the_environment() -> None:
    config = load(None, {"SIM_RPC_PORT": "1234", "SIM_SOLO_PORT": "4321"})
    assert (config.chain.rpc_port, config.solo.port) == (1234, 4321)
    with pytest.raises(ConfigError, match="SIM_RPC_PORT must be a port number, not 'x'"):
        load(None, {"SIM_RPC_PORT": "x"})


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load(str(tmp_path / "none.toml"), {})
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"seed = \xff")
    with pytest.raises(ConfigError, match="is not a TOML file"):
        load(str(broken), {})
