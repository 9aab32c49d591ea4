"""The load service of a running run: found among the containers, asked, and told."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.fakes import FakeClock, FakeEngine, FakeExec, Script

from loadgenctl.cli.load import client_of, find_loadgen, parse, run_id, split
from loadgenctl.engines import ownership_labels
from loadgenctl.errors import LoadFailed, OutputFolderError, UsageError
from loadgenctl.model import Command, RoleSpec
from loadgenctl.owner import Owner
from loadgenctl.records import schema

ME = Owner.current()
ONE, TWO = "0123456789", "abcdef0123"


class Desk:
    """An engine on which runs go on; their load services keep the config they are given."""

    def __init__(self) -> None:
        self.config = "{}"
        self.asked: list[tuple[str, ...]] = []
        self.refuses = False
        self.engine = FakeEngine(FakeClock(), {"loadgen": Script(execs=self._exec)})

    def start(self, run: str, role: str = "loadgen", *, owner: Owner = ME) -> None:
        name = f"loadgenctl-{run}-{role}-0"
        made = ownership_labels.make(owner, run, role)
        spec = RoleSpec(name, role, "image", Command(("true",)), labels=made)
        self.engine.start(self.engine.create(spec))

    def _exec(self, argv: tuple[str, ...]) -> FakeExec:
        self.asked.append(argv)
        if self.refuses:
            return FakeExec(1, b"the load service refused: no such task\n")
        if argv[-2] == "put":
            self.config = argv[-1]
            return FakeExec(0, b"config updated\n")
        return FakeExec(0, self.config.encode())


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_only_run_need_not_be_named(desk: Desk) -> None:
    desk.start(ONE, "chain")
    desk.start(ONE)
    client = client_of([desk.engine], None)
    client.put({"faucet": {"interval": 5}})
    assert client.get() == {"faucet": {"interval": 5}}
    assert desk.asked[0][:2] == ("python3", "/out/tools/service/client.py")


def test_of_several_one_must_be_named(desk: Desk) -> None:
    desk.start(ONE)
    desk.start(TWO)
    with pytest.raises(UsageError, match=f"2 runs have a load generator: {ONE}, {TWO}"):
        find_loadgen([desk.engine], None)
    assert TWO in find_loadgen([desk.engine], TWO)[1].name


def test_nothing_runs(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no run is running"):
        find_loadgen([desk.engine], None)
    with pytest.raises(UsageError, match=f"the run {ONE} is not running"):
        find_loadgen([desk.engine], ONE)


def test_a_run_between_loads_is_told_from_none(desk: Desk) -> None:
    desk.start(ONE, "chain")
    with pytest.raises(UsageError, match="no run has a load generator now"):
        find_loadgen([desk.engine], None)
    with pytest.raises(UsageError, match=f"the run {ONE} has no load generator now") as caught:
        find_loadgen([desk.engine], ONE)
    assert "stages with load" in str(caught.value.hint)


def test_a_load_generator_that_has_ended_is_none(desk: Desk) -> None:
    desk.start(ONE)
    desk.engine.latest("loadgen").end(1)
    with pytest.raises(UsageError, match="no run has a load generator now"):
        find_loadgen([desk.engine], None)


def test_what_a_dead_run_left_is_not_spoken_to(desk: Desk) -> None:
    desk.start(ONE, owner=replace(ME, start="another-start"))
    with pytest.raises(UsageError, match="no run is running"):
        find_loadgen([desk.engine], None)
    desk.start(TWO)
    assert TWO in find_loadgen([desk.engine], None)[1].name


def test_what_the_service_refuses_is_told(desk: Desk) -> None:
    desk.start(ONE)
    desk.refuses = True
    with pytest.raises(LoadFailed) as caught:
        client_of([desk.engine], None).put({})
    assert "no such task" in str(caught.value.detail)


def folder(path: Path, outcome: str, **run: str) -> Path:
    status = {"outcome": outcome, "owner": asdict(ME)}
    (path / schema.STATUS).write_text(json.dumps(status))
    (path / schema.RUN).write_text(json.dumps(run))
    return path


def test_a_run_is_named_by_its_folder(desk: Desk, tmp_path: Path) -> None:
    desk.start(ONE)
    desk.start(TWO)
    named = str(folder(tmp_path, "running", run_id=TWO))
    client_of([desk.engine], named).get()
    assert run_id(named) == TWO
    assert run_id(ONE) == ONE


def test_a_folder_without_a_running_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is over: passed"):
        run_id(str(folder(tmp_path, "passed", run_id=ONE)))
    with pytest.raises(UsageError, match="does not say which run"):
        run_id(str(folder(tmp_path, "running")))
    with pytest.raises(OutputFolderError, match="no results folder"):
        run_id(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("words", "expected"), [(["{}"], (None, "{}")), (["out", "{}"], ("out", "{}"))]
)
def test_the_run_comes_before_the_config(
    words: list[str], expected: tuple[str | None, str]
) -> None:
    assert split(words) == expected


def test_too_many_words() -> None:
    with pytest.raises(UsageError, match="give the config"):
        split(["a", "b", "c"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be an object"),
        ('{"faucett": {}}', "no task"),
        ('{"faucet": {"interval": 0}}', "faucet.interval must be"),
        ('{"faucet": {"interval": NaN}}', "finite"),
    ],
)
def test_nonsense_is_refused_before_anything_is_sent(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_a_config_is_completed() -> None:
    assert parse('{"amm": {"interval": 3}, "vault": null}') == {
        "amm": {"interval": 3, "wait": 0, "limit": 1}
    }
    assert parse("{}") == {}
