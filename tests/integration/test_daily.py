"""The service on a real branch and a real engine: a git repository that is a tiny SDK."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.loadgenctl_process import PROMPT, QUICK, Desk, Loadgenctl, Records

from loadgenctl import resources
from loadgenctl.process import Runner

pytestmark = pytest.mark.docker

SHORT = ("--stages", "1", "--chain-only")
# 0.02 minutes are 1.2 seconds.
IMPATIENT = ("--poll", "0.02", "--retry-after", "0.02", "--attempts", "2")
WILL_NOT_START = '[[fault]]\nkind = "chain-crash"\nat_block = 1\n'
TAKES_FOR_EVER = '[[fault]]\nkind = "slow-start"\nseconds = 600\n'


class Site:
    """A repository with the simulated SDK, and a working directory beside it."""

    def __init__(self, folder: Path, desk: Desk) -> None:
        self.desk = desk
        self.work = folder / "work"
        self._sdk = folder / "sdk"
        self._settings = folder / "sim.toml"
        self._env = {"LOADGENCTL_CACHE": str(folder / "cache")}
        self._started: list[Loadgenctl] = []
        shutil.copytree(
            resources.images("sim"), self._sdk, ignore=shutil.ignore_patterns("__pycache__")
        )
        self._git("init", "--quiet", "--initial-branch", "main")
        self.faults("")

    def _git(self, *arguments: str) -> str:
        name = ("-c", "user.name=test", "-c", "user.email=test@example.test")
        done = Runner().run(["git", *name, *arguments], cwd=self._sdk)
        assert done.exit_code == 0, done.last_lines()
        return done.text()

    def push(self, *, broken: bool = False) -> str:
        """A new revision; the first twelve digits of its id."""
        program = resources.images("sim", "bin", "sim-solo").read_text()
        (self._sdk / "bin" / "sim-solo").write_text("raise SystemExit(9)\n" if broken else program)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", "another revision")
        return self._git("rev-parse", "HEAD")[:12]

    def faults(self, text: str) -> None:
        """What goes wrong in runs that begin from now on."""
        self._settings.write_text(QUICK + text)

    def daily(self, *options: str) -> Loadgenctl:
        """The service, on the repository's default branch."""
        sim = ("--sdk", "sim", "--sdk-repo", str(self._sdk), "--sim-config", str(self._settings))
        folder = self.work.parent / f"said-{len(self._started)}"
        self.work.mkdir(exist_ok=True)
        command = Loadgenctl(
            folder, "daily", *sim, *SHORT, *IMPATIENT, *options, env=self._env, cwd=self.work
        )
        self._started.append(command)
        return command

    def attempt(self, revision: str, number: int = 1) -> Records:
        """The results of an attempt."""
        return Records(self.work / f"daily-perf-{revision}" / f"attempt-{number}")

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The rows of daily.jsonl with these events."""
        return [row for row in Records(self.work).rows("daily.jsonl") if row["event"] in names]

    def ended(self) -> list[tuple[str, int, str]]:
        """Revision, attempt and outcome of all that ended, in order."""
        rows = self.events("attempt-ended")
        return [(row["commit"][:12], row["attempt"], row["outcome"]) for row in rows]

    def outcome(self, revision: str, number: int = 1) -> Callable[[], bool]:
        """For `until`: the attempt has ended."""
        return lambda: (revision, number) in [one[:2] for one in self.ended()]

    def nothing_left(self) -> None:
        """Nothing stands on the engine of any run, and nobody is left but who was killed."""
        for status in self.work.glob("daily-perf-*/attempt-*/status.json"):
            owner = json.loads(status.read_bytes()).get("owner")
            assert owner is None or self.desk.engine.left(owner["pid"]) == []

    def close(self) -> None:
        """Nothing outlives the test."""
        for command in self._started:
            if command.running:
                command.signal(signal.SIGTERM)
                command.end(timeout=30)
            with command:
                pass


@pytest.fixture
def site(tmp_path: Path, desk: Desk) -> Iterator[Site]:
    site = Site(tmp_path, desk)
    yield site
    site.close()


def test_revisions_are_run_in_order_retried_given_up_and_skipped(site: Site) -> None:
    good = site.push()
    service = site.daily()
    service.until(site.outcome(good), "the first revision has ended")
    broken = site.push(broken=True)
    service.until(lambda: site.events("gave-up") != [], "the broken revision is given up")
    site.faults(WILL_NOT_START)
    flaky = site.push()
    service.until(site.outcome(flaky), "the third revision failed")
    site.faults("")
    service.until(site.attempt(flaky, 2).folder.is_dir, "it is tried again")
    skipped, newest = site.push(), site.push()
    service.until_said(f"{newest} passed; nothing to do")
    service.signal(signal.SIGTERM)
    ended = service.end(timeout=PROMPT)
    assert ended.exit_code == 0, ended.stderr
    assert site.ended() == [
        (good, 1, "passed"),
        (broken, 1, "failed"),
        (broken, 2, "failed"),
        (flaky, 1, site.attempt(flaky).status["outcome"]),
        (flaky, 2, "passed"),
        (newest, 1, "passed"),
    ]
    assert not site.attempt(skipped).folder.parent.exists()
    assert site.attempt(broken).status["exit_code"] == 3
    assert site.attempt(flaky).status["exit_code"] == 4
    run = site.attempt(newest).document("run.json")
    assert run["sdk"]["commit"].startswith(newest)
    assert run["test_data"] == {"test-type": "daily-perf"}
    assert "passed" in (site.attempt(newest).folder / "console.log").read_text()
    site.nothing_left()


def test_a_service_that_is_stopped_in_mid_run_goes_on_with_the_next_start(site: Site) -> None:
    done = site.push()
    first = site.daily("--once")
    assert first.end().exit_code == 0, first.stderr
    site.faults(TAKES_FOR_EVER)
    revision = site.push()
    service = site.daily()
    run = site.attempt(revision)
    service.until(lambda: run.status.get("step") == "run the stages", "the run goes on")
    child = run.status["owner"]["pid"]
    service.until(lambda: "chain" in site.desk.engine.owned(child), "the chain is there")

    second = site.daily().end(timeout=PROMPT)
    assert second.exit_code == 2
    assert f"in use by loadgenctl daily: process {service.pid}, since" in second.stderr

    service.signal(signal.SIGTERM)
    stopped = service.end(timeout=2 * PROMPT)
    assert stopped.exit_code == 0, stopped.stderr
    assert run.status["outcome"] == "interrupted"
    assert "SIGTERM" in run.status["reason"]
    site.nothing_left()

    site.faults("")
    again = site.daily()
    again.until(site.outcome(revision, 2), "it goes on where it was stopped")
    again.until_said("nothing to do")
    again.ctrl_c()
    assert again.end(timeout=PROMPT).exit_code == 130
    assert site.ended() == [
        (done, 1, "passed"),
        (revision, 1, "interrupted"),
        (revision, 2, "passed"),
    ]
    assert site.daily("--once").end().exit_code == 0
    assert len(site.ended()) == 3, "nothing was due"
