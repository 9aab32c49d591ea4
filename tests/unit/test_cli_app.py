"""The command line as a person types it: help, version, dry-run, mistakes and their exit codes."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path

import pytest
import typer
from tests.unit.shell import Shell

from loadgenctl.cli.parameters import QuickGroup
from loadgenctl.plan.options import OPTIONS
from loadgenctl.version import VERSION

DRY = ("run", "--sdk", "sim", "--dry-run")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def test_version(shell: Shell) -> None:
    said = shell.run("--version")
    assert (said.exit_code, said.stdout) == (0, f"loadgenctl {VERSION}\n")


def test_help_names_the_commands_and_a_first_thing_to_try(shell: Shell) -> None:
    said = shell.run("--help")
    assert said.exit_code == 0
    for word in ("run", "stats", "clean", "slog", "--sdk sim"):
        assert word in said.stdout


def test_help_of_run_tells_every_option_with_its_default(shell: Shell) -> None:
    said = shell.run("run", "--help")
    assert said.exit_code == 0
    for option in OPTIONS:
        stage = option.key.replace("*", "N", 1) if option.key.startswith("stage.*.") else option.key
        role = stage.replace("*", "ROLE") if option.kind != "tree" else stage
        assert f"--{role}" in said.words
        assert " ".join(option.help.split()[:4]) in said.words
    assert "Default: 360." in said.words
    assert "Default: 256 MiB." in said.words
    assert "130 interrupted" in said.words


@pytest.mark.parametrize("command", ["run", "stats", "clean", "slog"])
def test_every_command_has_help(shell: Shell, command: str) -> None:
    said = shell.run(command, "--help")
    assert said.exit_code == 0
    assert "Usage: loadgenctl" in said.stdout


@pytest.mark.parametrize(
    "line",
    [
        *("", "run", "options", "daily", "queue", "list", "stats", "regen", "top", "clean", "up"),
        *("compose", "slog", "slog tail", "slog blocks", "load", "load config", "load config set"),
        *("load config get", "sdk", "sdk build", "sdk remove", "image", "image build"),
    ],
)
def test_no_help_shows_a_type_of_python(shell: Shell, line: str) -> None:
    said = shell.run(*line.split(), "--help")
    assert said.exit_code == 0
    shown = re.findall(r"<[^>]*>", said.words)
    assert set(shown) <= {"<posix time>", "<output-dir>"}


def test_without_a_command_help_is_shown(shell: Shell) -> None:
    assert "Usage: loadgenctl" in shell.run().stdout


def test_a_dry_run_prints_every_stage_and_does_nothing(shell: Shell) -> None:
    load = ("--stage.duration", "1.5", "--stage.loadgen.amm.interval", "7")
    said = shell.run(*DRY, "--stages", "3", *load, "--stage.loadgen.cycles", "9")
    assert said.exit_code == 0, said.stderr
    lines = [line.split() for line in said.stdout.splitlines()]
    assert ["0", "chain,", "load", "prepared", "0", "-", "yes"] in lines
    (loaded,) = (line for line in lines if line[:1] == ["1"])
    assert loaded[:5] == ["1", "chain,", "client,", "load", "1.5"]
    assert loaded[5:] == ["9", "yes"]
    assert ["2", "chain", "0", "-", "no"] in lines
    assert ["load", "of", "stage", "1:", "amm", "interval", "7"] in lines
    assert str(shell.folder / "results") in said.stdout
    assert list(shell.folder.iterdir()) == []


def test_a_dry_run_as_json_is_the_whole_plan(shell: Shell) -> None:
    said = shell.run(*DRY, "--json", "--stages", "2", "--limit.chain.memory", "2g")
    plan = json.loads(said.stdout)
    assert plan["sdk"] == "sim"
    assert plan["limits"]["chain"]["memory_bytes"] == 2 * 1024**3
    assert [stage["chain_only"] for stage in plan["stages"]] == [True, True]
    assert said.exit_code == 0


def test_options_come_from_the_file_beside_and_flags_win(shell: Shell) -> None:
    file = shell.folder / "loadgenctl.toml"
    file.write_text('[run]\nsdk = "sim"\nstages = 4\n[run.stage.loadgen.vault]\ninterval = 5\n')
    plan = json.loads(shell.run("run", "--dry-run", "--json").stdout)
    assert (plan["sdk"], len(plan["stages"])) == ("sim", 4)
    assert plan["stages"][1]["load"] == {"vault": {"interval": 5}}
    plan = json.loads(shell.run("run", "--dry-run", "--json", "--stages", "2").stdout)
    assert len(plan["stages"]) == 2


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("--stage.duraton 3", "unknown option --stage.duraton", "did you mean --stage.duration?"),
        ("--outputdir x", "unknown option --outputdir", "did you mean --output-dir?"),
        ("bla", "unexpected argument 'bla'", "see loadgenctl run --help"),
        ("--stages 0", "--stages must be at least 1", ""),
        ("--stages many", "--stages takes a number, not 'many'", ""),
        ("--stages 1 --stage.duration=-3", "--stage.duration cannot be negative", "--stage.N"),
        ("--stage.loadgen.faucett.interval 3", "no task 'faucett'", "did you mean 'faucet'?"),
        ("--stages 1 --stage.loadgen.amm.intervall 3", "no setting 'intervall'", "'interval'"),
        ("--stage.1.loadgen.amm.interval 0", "amm.interval must be at least 1", ""),
        ("--stage.9.duration 3", "names stage 9, but the run has 6 stages", ""),
        ("--stage.1.chain-only --stage.1.loadgen.amm.interval 3", "stage 1 is chain-only", "drop"),
        ("--sim-config nowhere.toml", "cannot read", "--sim-config names a TOML file"),
        ("--config nowhere.toml", "no such file: nowhere.toml", "--config"),
        ("--limit.chain.memory lots", "takes a size such as 512m", ""),
        ("--revision abc", "the bundled simulated SDK has no revisions", "--sdk-repo"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(
    shell: Shell, line: str, message: str, hint: str
) -> None:
    said = shell.run("run", "--sdk", "sim", *line.split())
    assert said.exit_code == 2
    assert said.stdout == ""
    assert f"error: {message}" in said.stderr or message in said.stderr
    assert hint in said.stderr
    assert "Traceback" not in said.stderr
    assert list(shell.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("run --junti x", "did you mean --junit?"),
        ("run --stags 3", "did you mean --stages?"),
        ("run --qzx", "see loadgenctl run --help"),
        ("options --jsn", "did you mean --json?"),
        ("daily --brnch x", "did you mean --branch?"),
        ("daily --max-dsk 1g", "did you mean --max-disk?"),
        ("daily --revison x", "did you mean --revision?"),
        ("daily --qzx", "see loadgenctl daily --help"),
        ("queue list --atempts 2", "did you mean --attempts?"),
        ("up --quite", "did you mean --quiet?"),
        ("compose --into x --quite", "did you mean --quiet?"),
        ("sdk build --revison x", "did you mean --revision?"),
    ],
)
def test_the_nearest_name_is_sought_among_all_that_the_command_takes(
    shell: Shell, line: str, hint: str
) -> None:
    said = shell.run(*line.split())
    assert said.exit_code == 2
    assert "unknown option --" in said.stderr
    assert hint in said.stderr


def test_the_real_sdk_takes_no_settings_of_the_simulated_one(shell: Shell) -> None:
    said = shell.run("run", "--dry-run", "--sim-config", "x.toml")
    assert said.exit_code == 2
    assert "--sim-config requires --sdk sim" in said.stderr


def test_settings_of_the_simulated_sdk_that_are_no_toml(shell: Shell) -> None:
    (shell.folder / "sim.toml").write_text("block time = fast")
    said = shell.run(*DRY, "--sim-config", "sim.toml")
    assert said.exit_code == 2
    assert "is not valid TOML" in said.stderr


def test_an_unknown_command_or_flag_is_a_mistake_too(shell: Shell) -> None:
    assert shell.run("rnu").exit_code == 2
    assert shell.run("--versoin").exit_code == 2


def test_a_load_that_no_stage_runs_is_pointed_out(shell: Shell) -> None:
    said = shell.run(*DRY, "--stages", "1", "--stage.loadgen.faucet.interval", "3")
    assert said.exit_code == 0
    assert "warning: no stage runs the load" in said.stderr
    loaded = shell.run(*DRY, "--stages", "3", "--stage.loadgen.faucet.interval", "3")
    assert "warning" not in loaded.stderr


@pytest.mark.parametrize("arguments", [("stats",), ("slog", "stats"), ("slog", "blocks")])
def test_what_is_not_there_cannot_be_read(shell: Shell, arguments: tuple[str, ...]) -> None:
    said = shell.run(*arguments, "nowhere")
    assert said.exit_code == 2
    assert "nowhere" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_folder_without_a_run_is_named(shell: Shell) -> None:
    said = shell.run("stats", str(shell.folder))
    assert said.exit_code == 2
    assert "holds no run" in said.stderr


def test_a_dry_run_refuses_site_settings_that_a_run_would_refuse(shell: Shell) -> None:
    (shell.folder / "loadgenctl.toml").write_text('[site]\nno_such_setting = "x"\n')
    dry, wet = (shell.run("run", "--sdk", "sim", *words) for words in (("--dry-run",), ()))
    assert dry.exit_code == wet.exit_code == 2
    assert "no_such_setting" in dry.stderr
    assert dry.stderr == wet.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run --json --sdk sim --stages 0", "--stages must be at least 1"),
        ("run --sdk sim --qzx --json", "unknown option --qzx"),
        ("run --json --resume nowhere", "there is no results folder"),
        ("stats --json nowhere", "there is no results folder nowhere"),
        ("slog blocks --json", "Missing argument 'FILE'"),
        ("slog tail --json --for many x", "Invalid value for '--for'"),
        ("regen --json nowhere", "nowhere"),
        ("top nowhere --json", "there is no results folder nowhere"),
        ("options --json --qzx", "unknown option --qzx"),
    ],
)
def test_json_is_a_document_also_of_what_was_refused(shell: Shell, line: str, message: str) -> None:
    said = shell.run(*line.split())
    document = json.loads(said.stdout)
    assert said.exit_code == 2
    assert (document["outcome"], document["exit_code"]) == ("failed", 2)
    assert set(document["error"]) == {"message", "hint", "detail"}
    assert message in document["error"]["message"]
    assert message in " ".join(said.stderr.split())


def test_a_connection_that_breaks_is_not_taken_for_a_reader_that_is_gone() -> None:
    app = typer.Typer(cls=QuickGroup)

    @app.callback()
    def group() -> None:
        pass

    @app.command()
    def fails() -> None:
        raise BrokenPipeError(errno.EPIPE, "the engine has closed its socket")

    with pytest.raises(RuntimeError, match="closed by its other end"):
        app(["fails"])


def test_without_json_nothing_is_printed_of_what_was_refused(shell: Shell) -> None:
    assert shell.run("stats", "nowhere").stdout == ""
    assert shell.run("slog", "stats", "--", "--json").stdout == ""
