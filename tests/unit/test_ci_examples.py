"""The action and the examples of the documents: every option in them is one that there is."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.unit.shell import Shell

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENTS: Final = ("docs/ci.md", "README.md")
EXAMPLE: Final = (
    "--stages 3 --stage.duration 10 --stage.loadgen.cycles 4 --stage.loadgen.faucet.interval 6"
)
_YAML: Final = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TYPED: Final = re.compile(r"(?:^ *|`)(?:bin/)?(loadgenctl run [^`\n]+)", re.MULTILINE)
_VARIABLE: Final = re.compile(r"\$\{\{.*?\}\}|\$\w+")
OURS: Final = "/loadgenctl@"

PROGRAM: Final = """#!/usr/bin/env bash
printf '%s\\0' "$@" >"$0.words"
{}
"""


def action() -> dict[str, Any]:
    """action.yml."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return found


def blocks(document: str) -> list[Any]:
    """The YAML examples of a document."""
    return [yaml.safe_load(text) for text in _YAML.findall((ROOT / document).read_text())]


def steps(node: object) -> Iterator[Mapping[str, Any]]:
    """Every mapping below a YAML document, workflow steps among them."""
    if isinstance(node, dict):
        yield node
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from steps(child)


def uses_of_ours(document: str) -> list[Mapping[str, Any]]:
    """The steps that use the action."""
    return [
        step
        for block in blocks(document)
        for step in steps(block)
        if OURS in str(step.get("uses", ""))
    ]


def scripted(document: str) -> list[str]:
    """The `loadgenctl run …` of the examples' scripts and of the text."""
    lines = [
        line
        for block in blocks(document)
        for step in steps(block)
        for line in (step.get("script") or [])
    ]
    text = (ROOT / document).read_text()
    # Not what is cut short, and not what asks for help.
    typed = [line for line in _TYPED.findall(text) if not {"…", "--help"} & set(line.split())]
    return [line for line in lines if line.startswith("loadgenctl run")] + typed


@dataclass(frozen=True, slots=True)
class Step:
    """The action's step that runs the program, with a program that notes its words."""

    folder: Path

    def environment(self, given: Mapping[str, object]) -> dict[str, str]:
        """What the runner would set, `given` being the action's inputs."""
        inputs = {name: spec["default"] for name, spec in action()["inputs"].items()}
        assert set(given) <= set(inputs), "an input that the action does not know"
        inputs |= {name: str(value) for name, value in given.items()}
        env = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], value)
            for name, value in self.step["env"].items()
        }
        places = {"GITHUB_ACTION_PATH": self.folder, "GITHUB_OUTPUT": self.folder / "outputs"}
        return {**os.environ, **env, **{name: str(place) for name, place in places.items()}}

    @property
    def step(self) -> dict[str, Any]:
        [found] = [step for step in action()["runs"]["steps"] if step.get("id") == "run"]
        assert found["shell"] == "bash"
        return dict(found)

    def start(
        self, given: Mapping[str, object], program: str, also: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """The step, begun as the runner begins it; `also` are further variables."""
        target = self.folder / "bin" / "loadgenctl"
        target.parent.mkdir(exist_ok=True)
        target.write_text(PROGRAM.format(program))
        target.chmod(0o755)
        script = self.folder / "script.sh"
        script.write_text(self.step["run"])
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.folder,
            env={**self.environment(given), **(also or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, given: Mapping[str, object], program: str = "exit 0") -> tuple[int, str]:
        """Exit code and output."""
        with self.start(given, program) as process:
            out, _ = process.communicate(timeout=30)
        return process.returncode, out

    @property
    def words(self) -> list[str]:
        """What the program was called with."""
        return (self.folder / "bin" / "loadgenctl.words").read_text().split("\0")[:-1]

    @property
    def outputs(self) -> str:
        return (self.folder / "outputs").read_text()


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def filled(text: str) -> str:
    """`text` with something in the place of what the CI system knows."""
    return _VARIABLE.sub("0123456789", text)


def nowhere(words: list[str]) -> list[str]:
    """The words with a repository at which nothing answers: no test asks a server."""
    kept, rest = [], iter(words)
    for word in rest:
        if word == "--sdk-repo":
            next(rest)
        elif not word.startswith("--sdk-repo="):
            kept.append(word)
    simulated = "--sdk=sim" in kept or "--sdk sim" in " ".join(kept)
    if simulated and len(kept) == len(words):
        return kept
    return [*kept, "--sdk-repo", "https://127.0.0.1:1/sdk"]


def plan_of(shell: Shell, words: list[str]) -> dict[str, Any]:
    """What a command would do."""
    assert words[0] == "run"
    said = shell.run(*nowhere(words), "--dry-run", "--json")
    assert said.exit_code == 0, f"{words}: {said.stderr}"
    plan: dict[str, Any] = json.loads(said.stdout)
    return plan


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_use_of_the_action_is_a_run_that_can_be_planned(
    document: str, step: Step, shell: Shell
) -> None:
    uses = uses_of_ours(document)
    assert uses
    for use in uses:
        given = {name: filled(str(value)) for name, value in use["with"].items()}
        assert step.run(given)[0] == 0
        [_, loaded, _] = plan_of(shell, step.words)["stages"]
        assert (loaded["load"], loaded["cycles"]) == ({"faucet": {"interval": 6}}, 4)


def test_every_script_of_the_examples_is_a_run_that_can_be_planned(shell: Shell) -> None:
    lines = [line for document in DOCUMENTS for line in scripted(document)]
    assert sum(EXAMPLE in " ".join(line.split()) for line in lines) >= 2
    for line in lines:
        plan_of(shell, shlex.split(filled(line))[1:])


def test_a_job_keeps_the_report_that_it_writes() -> None:
    [job] = [
        block["load"] for block in blocks("docs/ci.md") if "artifacts" in block.get("load", {})
    ]
    [line] = [line for line in job["script"] if line.startswith("loadgenctl run")]
    words = shlex.split(line)
    written = {option: words[words.index(option) + 1] for option in ("--junit", "--markdown")}
    assert job["artifacts"]["reports"]["junit"] == written["--junit"]
    assert written["--markdown"] in job["artifacts"]["paths"]
    assert f"{words[words.index('--output-dir') + 1]}/" in job["artifacts"]["paths"]
    assert job["artifacts"]["when"] == "always"


def test_all_examples_and_workflows_are_yaml() -> None:
    assert len(blocks("docs/ci.md")) == 3
    for file in (ROOT / ".github" / "workflows").iterdir():
        jobs = yaml.safe_load(file.read_text())["jobs"]
        assert [job for job in jobs.values() if job["steps"][-1]["run"] == ".ci/run"]


def test_every_supported_python_is_tested_and_debian_12_s_own() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    pythons = jobs["unit"]["strategy"]["matrix"]["python"]
    script = (ROOT / "bin" / "test-pythons").read_text()
    assert f"SUPPORTED=({' '.join(pythons)})" in script
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={pythons[0]}"
    assert jobs["debian"]["container"] == "debian:12"
    assert jobs["debian"]["steps"][-1]["run"] == "bin/test-pythons --only /usr/bin/python3"


def test_the_action_installs_what_is_locked_and_keeps_results_whatever_happens() -> None:
    _, install, run, keep = action()["runs"]["steps"]
    assert install["run"].strip() == '"$GITHUB_ACTION_PATH/bin/setup" --program'
    assert "${{" not in install["run"] + run["run"], "a value would become a part of the script"
    assert keep["if"] == "always()"
    assert "${{ inputs.output-dir }}" in keep["with"]["path"].splitlines()


def test_the_defaults_give_a_plan(step: Step, shell: Shell) -> None:
    assert step.run({})[0] == 0
    assert step.words == [
        "run",
        "--sdk=agoric",
        "--output-dir=loadgenctl-results",
        "--junit=loadgenctl-results/junit.xml",
        "--markdown=loadgenctl-results/summary.md",
    ]
    plan_of(shell, step.words)
    assert step.outputs == "exit-code=0\n"


@pytest.mark.parametrize("code", [2, 3, 4])
def test_the_exit_code_is_passed_through(step: Step, code: int) -> None:
    ended, _ = step.run({}, f"exit {code}")
    assert (ended, step.outputs) == (code, f"exit-code={code}\n")


def test_values_are_words_and_nothing_else(step: Step) -> None:
    args = "--test-data.a 'x y' --test-data.b \"$(touch pwned)\" `touch pwned`\n--stages  2 *"
    given = {"revision": "--sdk=sim; touch pwned", "output-dir": "a b", "args": args}
    assert step.run(given)[0] == 0
    expected = ["--test-data.a", "x y", "--test-data.b", "$(touch pwned)", "`touch", "pwned`"]
    assert step.words[-10:] == [
        "--revision=--sdk=sim; touch pwned",
        *expected,
        "--stages",
        "2",
        "*",
    ]
    assert "--junit=a b/junit.xml" in step.words
    assert not (step.folder / "pwned").exists()


def test_args_that_are_no_words_are_bad_usage(step: Step) -> None:
    code, out = step.run({"args": "--stages 'three"})
    assert (code, step.outputs) == (2, "exit-code=2\n")
    assert "args cannot be split into words: --stages 'three" in out


def test_what_is_printed_gives_the_runner_no_commands(step: Step) -> None:
    _, out = step.run({}, "echo '::error::from the chain'; echo '::add-mask::a'")
    first, *shown, last = out.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert len(token) > 30
    assert last == f"::{token}::"
    assert shown == ["::error::from the chain", "::add-mask::a"]
    assert not step.run({})[1].startswith(first), "the next one is another"


# A `kill` that returns when the process that it signals has ended.
SLOW_KILL: Final = """kill() {
  builtin kill "$@" || return
  [ "$1" != -TERM ] || while builtin kill -0 "$2" 2>/dev/null; do :; done
}
"""


@pytest.mark.parametrize("ends_first", [False, True], ids=["", "ends-first"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_cancelled_stops_the_program_and_waits_for_it(
    step: Step, number: signal.Signals, ends_first: bool
) -> None:
    program = (
        "trap 'echo stopping; kill $!; exit 130' TERM\nsleep 60 >/dev/null 2>&1 &\necho ready\nwait"
    )
    functions = step.folder / "functions.sh"
    functions.write_text(SLOW_KILL if ends_first else "")
    with step.start({}, program, {"BASH_ENV": str(functions)}) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        assert next(line for line in lines if line == "ready\n")
        process.send_signal(number)
        assert "stopping\n" in list(lines)
    assert process.returncode == 130
    assert step.outputs == "exit-code=130\n"
