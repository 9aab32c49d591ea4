"""Options to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.model import Limits, Ports, RunPlan
from loadgenctl.plan.planner import make_plan, make_plan_by_hand
from loadgenctl.plan.settings import load_file, merge, rows


def plan(
    line: str = "", env: Mapping[str, str] | None = None, file: Mapping[str, Any] | None = None
) -> RunPlan:
    return make_plan(merge(line.split(), env or {}, file, "file"), now=1000.7, cwd=Path("/here"))


def test_defaults() -> None:
    made = plan()
    assert made.output_dir == Path("/here/results/run-1000")
    assert made.state_dir == made.output_dir / "state"
    assert made.monitor_interval_s == 300
    assert [stage.chain_only for stage in made.stages] == [True, False, False, False, False, True]
    assert [stage.duration_s for stage in made.stages] == [0, 21600, 21600, 21600, 21600, 0]
    assert [stage.save_storage for stage in made.stages] == [True, True, True, True, True, False]
    assert made.stages[1].load == {"faucet": {"interval": 60}}
    assert made.stages[0].load is None


def test_a_load_lifts_chain_only() -> None:
    made = plan("--stages 3 --stage.0.loadgen.faucet.interval 5")
    assert [stage.chain_only for stage in made.stages] == [False, False, True]
    assert made.stages[0].load == {"faucet": {"interval": 5}}
    assert made.stages[0].duration_s == 21600


def test_a_stages_own_tasks_replace_the_shared_ones() -> None:
    made = plan(
        "--stages 4 --stage.loadgen.faucet.interval 10 --stage.loadgen.cycles 3"
        " --stage.2.loadgen.amm.interval 20"
    )
    assert made.stages[1].load == {"faucet": {"interval": 10}}
    assert made.stages[1].cycles == 3
    assert made.stages[2].load == {"amm": {"interval": 20}}
    assert made.stages[2].cycles is None


def test_a_stages_own_cycle_limit_keeps_the_shared_tasks() -> None:
    made = plan("--stages 3 --stage.loadgen.faucet.interval 10 --stage.1.loadgen.cycles 4")
    assert made.stages[1].load == {"faucet": {"interval": 10}}
    assert made.stages[1].cycles == 4


def test_chain_only_for_all() -> None:
    assert all(stage.chain_only for stage in plan("--chain-only").stages)


@pytest.mark.parametrize(
    ("line", "prepared"),
    [
        ("", ("faucet",)),
        ("--stage.1.loadgen.amm.interval 5", ("amm", "faucet")),
        (
            "--stage.loadgen.vault.interval 5 --stage.3.loadgen.faucet.interval 5",
            ("vault", "faucet"),
        ),
        ("--stages 2", ()),
        ("--stages 2 --stage.1.loadgen.amm.interval 5", ("amm",)),
        ("--chain-only", ()),
        ("--stage.0.loadgen.amm.interval 5", ()),
    ],
)
def test_a_first_stage_without_load_prepares_what_later_ones_run(
    line: str, prepared: tuple[str, ...]
) -> None:
    first, *others = plan(line).stages
    assert first.prepare == prepared
    assert all(stage.prepare == () for stage in others)


def test_a_stages_load_can_be_turned_on_and_off_as_a_whole() -> None:
    made = plan("--stages 4 --stage.0.loadgen --no-stage.1.loadgen --stage.loadgen.amm.interval 9")
    assert [stage.chain_only for stage in made.stages] == [False, True, False, True]
    assert made.stages[0].load == {"amm": {"interval": 9}}


def test_the_last_word_about_a_stages_load_counts() -> None:
    file = {"stage": {"1": {"loadgen": {"faucet": {"interval": 5}}}}}
    assert plan("--stages 3 --no-stage.1.loadgen", file=file).stages[1].chain_only
    again = plan(
        "--stages 3 --stage.1.loadgen.faucet.interval 7",
        {"LOADGENCTL_STAGE__1__LOADGEN": "false"},
        file,
    )
    assert again.stages[1].load == {"faucet": {"interval": 7}}


def test_a_shared_choice_of_storage_gives_way_to_a_stages_own() -> None:
    made = plan("--stages 4 --no-stage.save-storage --stage.2.save-storage")
    assert [stage.save_storage for stage in made.stages] == [False, False, True, False]


def test_roles_are_limited_in_containers_only() -> None:
    assert plan().limits["chain"] == Limits(pids=4096)
    made = plan("--engine local --sdk sim")
    assert (made.engine, made.limits["chain"]) == ("local", Limits())


def test_without_containers_a_revision_is_built_in_a_folder_of_ones_own() -> None:
    made = plan("--engine local --src /sdk --revision abc --sdk-repo /repo")
    assert (made.source_dir, made.revision) == (Path("/sdk"), "abc")


def test_ports_of_ones_own() -> None:
    assert plan().ports == Ports(26657, 8000, 3352)
    made = plan("--sdk sim --port.chain 1 --port.solo 2 --port.loadgen 3")
    assert made.ports == Ports(1, 2, 3)
    assert plan("--port.loadgen 4000").ports.loadgen == 4000


def test_order_of_sources() -> None:
    env = {"LOADGENCTL_STAGE__DURATION": "20", "OUTPUT_DIR": "/env", "SDK_REVISION": "abcdef12"}
    file = {
        "stages": 4,
        "stage": {"duration": 10, "1": {"save-storage": False}},
        "output-dir": "/f",
    }
    made = plan("--stages 5", env, file)
    assert len(made.stages) == 5
    assert made.stages[1].duration_s == 1200
    assert made.stages[1].save_storage is False
    assert made.output_dir == Path("/env")
    assert made.revision == "abcdef12"


def test_origins_are_known() -> None:
    settings = merge(["--stages", "3"], {"SDK_REPO": "/repo"}, {"publish": True}, "x.toml")
    assert settings.origins["stages",] == "--stages"
    assert settings.origins["sdk-repo",] == "$SDK_REPO"
    assert settings.origins["publish",] == "x.toml"
    assert settings.origins["sdk",] == "default"


@pytest.mark.parametrize(
    "line",
    [
        "--stages 3 --stage.3.duration 1",
        "--stage.duration -1",
        "--stage.1.chain-only --stage.1.loadgen.faucet.interval 5",
        "--stage.loadgen.cycles 0",
        "--stage.loadgen.cycles many",
        "--stage.loadgen 5",
        "--sim-config x.toml",
        "--sdk sim --revision abc",
        "--stages 1001",
        "--stage.0.loadgen --stage.0.chain-only",
        "--no-stage.1.loadgen --stage.1.chain-only=false",
        "--stage.loadgen",
        "--no-stage.loadgen",
        "--stage.1.loadgen null",
        "--test-data",
        "--engine local --publish",
        "--engine local --limit.chain.memory 4g",
        "--engine local --limit.solo.pids 100",
        "--engine local --revision abc",
        "--engine local --sdk-repo x",
        "--port.chain 4000",
        "--port.solo 4000",
        "--port.loadgen 60000",
        "--sdk sim --port.chain 8000",
        "--sdk sim --port.chain 18000",
    ],
)
def test_contradictions_are_refused(line: str) -> None:
    with pytest.raises(UsageError):
        plan(line)


@pytest.mark.parametrize(
    ("env", "file"),
    [
        ({"LOADGENCTL_STAGEES": "3"}, {}),
        ({}, {"stagees": 3}),
        ({}, {"stage": {"duratoin": 3}}),
        ({}, {"stages": "x"}),
        ({}, {"stages": True}),
        ({}, {"reset": "false"}),
        ({}, {"": 1}),
    ],
)
def test_unknown_or_mistyped_anywhere_is_refused(
    env: Mapping[str, str], file: Mapping[str, Any]
) -> None:
    with pytest.raises(UsageError):
        plan("", env, file)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "loadgenctl.toml"
    path.write_text(
        '[run]\nstages = 3\n[run.stage.loadgen.faucet]\ninterval = 7\n[site]\nname="x"\n'
    )
    tables = load_file(path)
    made = make_plan(merge([], {}, tables["run"], "f"), now=0, cwd=tmp_path)
    assert made.stages[1].load == {"faucet": {"interval": 7}}


@pytest.mark.parametrize("text", ["[runn]\n", "run = 3\n", "not toml", "\xff"])
def test_a_bad_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "loadgenctl.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError):
        load_file(path)


def test_a_networks_origin_is_its_profiles_unless_named() -> None:
    assert plan("--profile devnet").origin == "https://devnet.agoric.net"
    named = plan("--profile stage --testnet-origin ../net --use-state-sync")
    assert (named.origin, named.profile, named.state_sync) == ("/net", "stage", True)
    assert plan().origin is None
    with pytest.raises(UsageError, match="is not encrypted"):
        plan("--profile testnet --testnet-origin http://example.org")


def test_a_network_goes_on_while_its_node_is_alone() -> None:
    made = plan("--profile testnet --stages 3 --stage.duration 10")
    assert [stage.chain_only for stage in made.stages] == [True, False, True]
    assert [stage.duration_s for stage in made.stages] == [600, 600, 600]


def test_without_a_node_every_stage_loads() -> None:
    made = plan("--profile testnet --no-monitor --stages 3")
    assert not made.monitor
    assert [stage.chain_only for stage in made.stages] == [False, False, False]
    assert made.stages[0].prepare == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--testnet-origin https://example.org", "a local chain has no origin"),
        ("--no-monitor", "nothing would run without its node"),
        ("--use-state-sync", "no other node to get its state from"),
        ("--provision-command true", "the run itself provisions the client"),
        ("--profile testnet --no-monitor --custom-bootstrap", "no node starts"),
        ("--profile testnet --no-monitor --custom-bootstrap x.json", "no node starts"),
        ("--acceptance-integration-message-file m", "has no network to catch up with"),
        ("--profile testnet --chain.snapshot-interval 20", "the nodes of a network decide"),
        ("--chain.snapshot-interval 0", "must be at least 1"),
        ("--profile testnet --no-monitor --use-state-sync", "exclude each other"),
        ("--profile testnet --no-monitor --chain-only", "exclude each other"),
        ("--profile testnet --no-monitor --stage.1.chain-only", "stage 1 runs the chain alone"),
        ("--profile testnet --no-monitor --no-stage.1.loadgen", "stage 1 runs the chain alone"),
        ("--profile mainnet", "is one of local, testnet, devnet, stage"),
        ("--network bridge", "no names on Docker's own networks"),
        ("--network a/b", "not a valid name of a Docker network"),
        ("--network=-x", "not a valid name of a Docker network"),
        ("--network net --engine local", "share its network"),
        ("--trace xsnap,kv", "there is no trace 'kv'"),
    ],
)
def test_what_does_not_go_with_a_network_is_refused(line: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan(line)


@pytest.mark.parametrize(
    "line",
    [
        "--client light",
        "--client",
        "--chain.compute-limit 0",
        "--chain.compute-limit 65M",
        "--chain.compute-limit -5",
        "--chain.compute-limit 6.5",
    ],
)
def test_a_client_or_a_limit_that_cannot_be_is_refused(line: str) -> None:
    with pytest.raises(UsageError):
        plan(line)


@pytest.mark.parametrize(
    ("line", "file", "sdks_own"),
    [
        ("--custom-bootstrap", None, True),
        ("--custom-bootstrap --no-reset", None, True),
        ("--custom-bootstrap true", None, True),
        ("--custom-bootstrap=1", None, True),
        ("--custom-bootstrap x.json", "/here/x.json", False),
        ("--custom-bootstrap ./true", "/here/true", False),
        ("--custom-bootstrap ./sdk", "/here/sdk", False),
        ("--custom-bootstrap sdk", "/here/sdk", False),
        ("--custom-bootstrap x.json --custom-bootstrap=false", None, False),
        ("--custom-bootstrap --no-custom-bootstrap", None, False),
        ("", None, False),
    ],
)
@pytest.mark.parametrize("profile", ["local", "testnet"])
def test_a_bootstrap_is_a_file_or_the_sdks_own(
    profile: str, line: str, file: str | None, sdks_own: bool
) -> None:
    made = plan(f"--profile {profile} {line}")
    assert made.bootstrap == (Path(file) if file else None)
    assert made.sdk_bootstrap is sdks_own


def test_an_option_that_may_stand_alone_is_a_switch_in_files_and_variables() -> None:
    for table, traces in (({"trace": True}, 3), ({"trace": False}, 0), ({"trace": "xsnap"}, 1)):
        made = make_plan(merge([], {}, table, "file"), now=0, cwd=Path("/here"))
        assert len(made.traces) == traces
    off = merge(["--trace"], {"LOADGENCTL_CUSTOM_BOOTSTRAP": "true"}, {}, "file")
    assert make_plan(off, now=0, cwd=Path("/here")).sdk_bootstrap
    assert plan("--trace --no-trace").traces == ()
    assert "trace" not in [row.key for row in rows(merge(["--no-trace"], {}, {}, "file"))]


def test_acceptance_tests_decide_when_the_last_stage_ends() -> None:
    talking = "--profile testnet --chain-only --stages 3 --acceptance-integration-message-file m"
    made = plan(talking)
    assert made.message_file == Path("/here/m")
    assert [stage.duration_s < 0 for stage in made.stages] == [False, False, True]
    assert [stage.duration_s for stage in made.stages[:2]] == [0, 0]
    assert [stage.duration_s for stage in plan(f"{talking} --stage.2.duration 5").stages][2] == 300


def test_traces_are_named_or_all() -> None:
    assert plan("--trace swingstore,xsnap").traces == ("xsnap", "swingstore")
    assert plan("--trace").traces == ("xsnap", "kvstore", "swingstore")
    assert plan("--trace --stages 2").traces == ("xsnap", "kvstore", "swingstore")
    assert plan().traces == ()


def test_by_hand_is_always_a_chain_of_ones_own() -> None:
    settings = merge([], {"LOADGENCTL_PROFILE": "testnet"}, {}, "file")
    with pytest.raises(UsageError, match="use a local chain"):
        make_plan_by_hand(settings, now=0, cwd=Path("/here"))
    local = merge(["--network", "net"], {}, {}, "file")
    assert make_plan_by_hand(local, now=0, cwd=Path("/here")).network == "net"
