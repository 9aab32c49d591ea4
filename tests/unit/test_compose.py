"""`loadgenctl compose`: a folder with the roles of a run, for a compose tool."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.shell import Shell
from tests.unit.test_compose_file import filled_in
from tests.worlds import World

from loadgenctl import resources
from loadgenctl.cli.compose import FILE, LaidOut, lay_out, next_steps
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.docker_spec import host_config_arguments
from loadgenctl.errors import BuildError, OutputFolderError, UsageError
from loadgenctl.model import Command, Limits, ResolvedRevision
from loadgenctl.roles.pod import PodFolders, PodOptions
from loadgenctl.run.compose_file import (
    DONE,
    HEALTHY,
    STARTED,
    compose_file,
    in_turn,
    services,
)
from loadgenctl.sdks import agoric, eras, sim
from loadgenctl.sdks.base import RoleContext, SdkFamily

AGORIC = ResolvedRevision("agoric", "main", "ab" * 20, 0, "ab" * 20, "https://x.test/sdk")
BUNDLED = ResolvedRevision("sim", "bundled", None, None, "cd" * 20, "bundled")
STORED = Path(__file__).parents[1] / "data" / "compose-sim.yaml"
"""A file as written before the template was replaced; see `test_the_file_says_what_it_said`."""
ONE_SHOTS = ("create-chain", "create-client", "provision", "ready")


class Bench(World):
    """A world whose plans are laid out, not run."""

    def lay_out(self, line: str = "", into: str = "by-hand") -> LaidOut:
        user = (os.getuid(), os.getgid())
        return lay_out(self.plan(line), self.folder / into, self.services(), user)

    def services_of(self, line: str = "", into: str = "by-hand") -> dict[str, Any]:
        """The services of the compose file, as the compose tool reads them."""
        document = yaml.safe_load(self.lay_out(line, into).file.read_text())
        assert set(document) == {"services"}
        found: dict[str, Any] = filled_in(document["services"])
        return found


def file_of(family: SdkFamily, folder: Path, resolved: ResolvedRevision) -> str:
    """The text of the compose file of a family's roles, in `folder`."""
    limits = {"chain": Limits(cpus=1.5, memory_bytes=2**30, pids=4096), "solo": Limits(pids=99)}
    options = PodOptions(
        "0123456789", "image:1", "1000:1000", owner=None, limits=limits, publish=True
    )
    folders = PodFolders(source=folder / "src é", shared=folder / "$shared", state=folder / "state")
    made = services(family, RoleContext(stage=0), options, folders, {"solo": 12.5})
    return compose_file(made, resolved, family)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_nothing_is_started(bench: Bench) -> None:
    bench.lay_out()
    assert bench.engine.containers == []


def test_every_service_is_held_as_tightly_as_the_role_of_a_run(bench: Bench) -> None:
    services = bench.services_of()
    assert bench.run("--publish --stages 1 --chain-only").exit_code == 0
    for role in ("holder", "relay", "chain"):
        arguments = host_config_arguments(bench.engine.latest(role).spec)
        service = services[role]
        for same in ("init", "cap_drop", "security_opt", "pids_limit"):
            assert service[same] == arguments[same]
        assert service.get("mem_limit") == arguments.get("mem_limit")
        assert service.get("read_only", False) == arguments["read_only"]
        options = arguments["log_config"]["Config"]
        assert service["logging"] == {"driver": "local", "options": options}
    for service in services.values():
        assert service["user"] == f"{os.getuid()}:{os.getgid()}"
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges"]
        assert service["init"] is True
        assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)


def test_commands_are_those_of_a_run(bench: Bench) -> None:
    services = bench.services_of()
    assert bench.run("--stages 1 --chain-only").exit_code == 0
    spec = bench.engine.latest("chain").spec
    chain = services["chain"]
    assert (*chain["entrypoint"], *chain["command"]) == spec.command.argv
    assert chain["environment"] == spec.command.env
    assert chain["working_dir"] == spec.command.workdir
    assert chain["image"] == spec.image
    assert (chain["stop_signal"], chain["stop_grace_period"]) == ("SIGINT", "30s")


def test_only_the_holder_has_a_network_and_it_publishes_on_loopback(bench: Bench) -> None:
    services = bench.services_of()
    holder = services.pop("holder")
    assert holder["ports"] == [
        "127.0.0.1:26657:36657",
        "127.0.0.1:8000:18000",
        "127.0.0.1:3352:13352",
    ]
    assert services["relay"]["command"][1:] == ["36657=26657", "18000=8000", "13352=3352"]
    for service in services.values():
        assert service["network_mode"] == "service:holder"
        assert "ports" not in service


def test_the_source_is_read_only_and_folders_are_those_beside_the_file(bench: Bench) -> None:
    services = bench.services_of()
    assert "volumes" not in services.pop("holder")
    for service in services.values():
        mounts = {
            mount["target"]: (mount["source"], mount["read_only"]) for mount in service["volumes"]
        }
        assert mounts == {
            "/src": (str(bench.builds.tree), True),
            "/out": (str(bench.folder / "by-hand" / "shared"), False),
            "/state": (str(bench.folder / "by-hand" / "state"), False),
        }
    tools = bench.folder / "by-hand" / "shared" / "tools"
    assert (tools / "agent" / "relay.py").is_file()
    assert (tools / "service" / "main.py").is_file()


def test_services_wait_for_what_a_run_waits_for(bench: Bench) -> None:
    services = bench.services_of()
    after = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert after == {
        "holder": {},
        "relay": {"holder": STARTED},
        "create-chain": {"holder": STARTED},
        "create-client": {"create-chain": DONE},
        "chain": {"create-chain": DONE, "relay": STARTED},
        "provision": {"create-client": DONE, "chain": HEALTHY},
        "solo": {"provision": DONE},
        "loadgen": {"solo": HEALTHY},
        "ready": {"loadgen": HEALTHY},
    }
    seen: set[str] = set()
    for name in services:
        assert set(after[name]) <= seen
        seen.add(name)
    for role, seconds in (("chain", 300), ("solo", 300), ("loadgen", 600)):
        assert services[role]["healthcheck"]["test"][0] == "CMD"
        assert services[role]["healthcheck"]["start_period"] == f"{seconds}s"
    health = services["chain"]["healthcheck"]["test"]
    assert health[-1] == "http://127.0.0.1:26657/health"


def test_with_wallets_there_is_no_client_and_the_load_waits_for_their_funds(bench: Bench) -> None:
    services = bench.services_of("--client wallet --chain.compute-limit 7000000")
    assert {"solo", "create-client"}.isdisjoint(services)
    assert services["provision"]["command"][-1].endswith("sim-wallet provision")
    assert "7000000" in services["create-chain"]["command"][-1]
    after = {name: services[name]["depends_on"] for name in ("provision", "loadgen")}
    assert {name: set(found) for name, found in after.items()} == {
        "provision": {"chain"},
        "loadgen": {"provision"},
    }
    assert after["loadgen"]["provision"]["condition"] == "service_completed_successfully"
    assert services["holder"]["ports"] == ["127.0.0.1:26657:36657", "127.0.0.1:3352:13352"]


def test_a_registry_is_never_asked_and_no_sweep_takes_the_containers(bench: Bench) -> None:
    for service in bench.services_of().values():
        assert service["pull_policy"] == "never"
        assert ownership_labels.ROLE in service["labels"]
        assert ownership_labels.owner_of(service["labels"]) is None


def test_options_of_a_run_reach_the_services(bench: Bench) -> None:
    config = bench.folder / "sim.toml"
    config.write_text("seed = 7\n")
    services = bench.services_of(
        "--limit.chain.cpus 1.5 --limit.chain.memory 1g --limit.solo.pids 99 --fail-fast"
        f" --timeout.chain 12.5 --sim-config {config}"
    )
    chain = services["chain"]
    assert (chain["cpus"], chain["mem_limit"]) == (1.5, 2**30)
    assert services["solo"]["pids_limit"] == 99
    assert "--fail-fast" in services["loadgen"]["command"]
    assert chain["healthcheck"]["start_period"] == "13s"
    assert chain["environment"]["SIM_CONFIG"] == "/out/tools/sim.toml"
    tools = bench.folder / "by-hand" / "shared" / "tools"
    assert (tools / "sim.toml").read_text() == "seed = 7\n"


def test_one_shots_have_no_limits_of_roles(bench: Bench) -> None:
    services = bench.services_of("--limit.chain.memory 1g")
    for name in ONE_SHOTS:
        assert "mem_limit" not in services[name]
        assert "healthcheck" not in services[name]


def test_hostile_folders_stay_texts(bench: Bench) -> None:
    name = "a \"$HOME\" ${x} 'b': {{ 1 }} #\n    privileged: true é😀"
    services = bench.services_of(into=name)
    mounted = {mount["target"]: mount["source"] for mount in services["chain"]["volumes"]}
    assert mounted["/state"] == str(bench.folder / name / "state")
    assert "privileged" not in services["chain"]


def test_the_reader_is_told_that_numbers_are_simulated(bench: Bench) -> None:
    assert "# SIMULATED" in bench.lay_out().file.read_text()


def test_laid_out_again_the_state_stays(bench: Bench) -> None:
    first = bench.lay_out()
    text = first.file.read_text()
    kept = first.state / "project" / "chain"
    kept.mkdir()
    assert bench.lay_out().file.read_text() == text
    assert kept.is_dir()


def test_somebody_else_s_folder_is_left_alone(bench: Bench) -> None:
    theirs = bench.folder / "by-hand" / FILE
    theirs.parent.mkdir()
    theirs.write_text("services: {}\n")
    with pytest.raises(OutputFolderError, match="not empty"):
        bench.lay_out()
    assert os.listdir(theirs.parent) == [FILE]  # noqa: PTH208 - names are enough


def test_a_file_where_the_folder_should_be_is_told(bench: Bench) -> None:
    (bench.folder / "by-hand").write_text("")
    with pytest.raises(OutputFolderError, match="cannot make"):
        bench.lay_out()


def test_after_a_failed_build_the_same_folder_will_do(bench: Bench) -> None:
    bench.builds.error = BuildError("no")
    with pytest.raises(BuildError):
        bench.lay_out()
    assert not (bench.folder / "by-hand" / FILE).exists()
    bench.builds.error = None
    assert bench.lay_out().file.exists()


def test_a_checkout_of_one_s_own_is_mounted_as_it_is(bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "mine"
    source.mkdir()
    services = bench.services_of(f"--src {source}")
    assert services["chain"]["volumes"][0]["source"] == str(source)
    assert bench.builds.in_place == []


@pytest.mark.parametrize(
    "era", eras.load(resources.images("sdk", "eras.toml")).eras, ids=lambda era: era.name
)
def test_the_real_sdk_s_recipes_can_be_said(era: eras.Era, tmp_path: Path) -> None:
    family = agoric.AgoricSdk(era)
    context = RoleContext(stage=0)
    found = filled_in(yaml.safe_load(file_of(family, tmp_path, AGORIC))["services"])
    probe = family.chain(context).state_probe
    assert probe is not None
    assert probe in found["create-chain"]["command"][1]
    assert found["chain"]["stop_grace_period"] == "60s"
    assert found["solo"]["working_dir"] == family.solo(context).command.workdir
    assert "SIMULATED" not in file_of(family, tmp_path, AGORIC)


def test_the_file_says_what_it_said_before_the_template_was_replaced() -> None:
    text = file_of(sim.SimSdk("1"), Path("/by hand"), BUNDLED)
    stored = STORED.read_text("utf-8")
    assert yaml.safe_load(text) == yaml.safe_load(stored)
    about = [line for line in stored.splitlines() if line.startswith("  # ")]
    assert [line for line in text.splitlines() if line.startswith("  # ")] == about


def shell(command: Command, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command.argv,
        check=False,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
    )


def test_commands_run_in_turn_each_in_its_own_surroundings(tmp_path: Path) -> None:
    there = tmp_path / "here it's"
    there.mkdir()
    first = Command(("sh", "-c", 'echo "$A:$B"'), env={"A": "1", "B": "2"}, workdir="/")
    second = Command(
        ("sh", "-c", 'echo "$A:${B-none}:$C"; pwd'), env={"A": "x y", "C": "$B"}, workdir=str(there)
    )
    made = in_turn([first, second], None)
    assert (made.env, made.workdir) == (first.env, "/")
    done = shell(made, **first.env)
    assert done.stdout.splitlines() == ["1:2", "x y:none:$B", str(there)]


def test_a_failure_ends_it_with_its_exit_code(tmp_path: Path) -> None:
    made = in_turn([Command(("sh", "-c", "exit 7")), Command(("touch", str(tmp_path / "x")))], None)
    assert shell(made).returncode == 7
    assert not (tmp_path / "x").exists()


def test_a_command_that_takes_too_long_fails() -> None:
    assert shell(in_turn([Command(("sleep", "60"), timeout=0.2)], None)).returncode == 124


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    probe = tmp_path / "a $b'c"
    make = Command(("sh", "-c", 'echo made; touch "$0"', str(probe)))
    made = in_turn([make], str(probe))
    assert shell(made).stdout == "made\n"
    again = shell(made)
    assert (again.returncode, again.stdout) == (0, f"{probe} is there already\n")


def test_no_commands_succeed() -> None:
    assert shell(in_turn([], None)).returncode == 0


def test_the_next_steps_can_be_pasted_into_a_shell() -> None:
    made = LaidOut(Path("/a b/compose.yaml"), Path("/a b/events"), Path("/a b/state"))
    text = next_steps(made)
    assert "docker compose -f '/a b/compose.yaml' up --detach" in text
    assert "curl http://127.0.0.1:3352/config" in text
    assert (
        """curl -X PUT --data '{"faucet":{"interval":10}}' http://127.0.0.1:3352/config""" in text
    )


@pytest.mark.parametrize(
    "option",
    [
        "--stages=3",
        "--stage.loadgen.faucet.interval=3",
        "--publish",
        "--output-dir=x",
        "--timeout.block=9",
        "--timeout.cycle=9",
        "--timeout.provision=9",
    ],
)
def test_options_without_meaning_by_hand_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    said = Shell(tmp_path, capsys).run("compose", "--sdk", "sim", "--into", "x", option)
    assert said.exit_code == UsageError.exit_code
    assert "driven by hand" in said.stderr
    assert not (tmp_path / "x").exists()


def test_help_shows_the_options_that_mean_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Shell(tmp_path, capsys).run("compose", "--help")
    assert said.exit_code == 0
    for word in ("--into", "--revision", "--limit.ROLE.cpus", "--timeout.ROLE", "--sim-config"):
        assert word in said.words
    for word in ("--stages", "--timeout.block"):
        assert word not in said.words


def test_a_folder_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Shell(tmp_path, capsys).run("compose", "--sdk", "sim").exit_code == 2
