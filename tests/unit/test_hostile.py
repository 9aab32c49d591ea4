"""Hostile input at every boundary: refused with a reason, nothing executed or written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from images.loadgen.service.loadservice.config import ConfigError, parse_config
from tests.fakes import FakeClock
from tests.hostile import CANARY, ESCAPES, corpus, name

from loadgenctl.cli.app import main
from loadgenctl.cli.merged_options import read
from loadgenctl.errors import UsageError
from loadgenctl.formatting import harmless_lines
from loadgenctl.process import Runner
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.git import GitSource
from loadgenctl.sources.giturl import check_revision


class Desk:
    """Runs the command line in a folder of its own and looks at what came of it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def do(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        before = self.tree()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        out, err = self._capsys.readouterr()
        assert not ESCAPES & set(out + err), (out, err)
        assert "Traceback" not in err, err
        assert self.tree() == before
        return int(end.value.code or 0), out, err

    def tree(self) -> list[str]:
        """Every path in the folder."""
        return sorted(str(path) for path in self.folder.rglob("*"))

    def refused(self, *arguments: str) -> str:
        """The reason given."""
        code, _, err = self.do(*arguments)
        assert code == 2, err
        assert err.strip()
        return err


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return Desk(tmp_path, capsys)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    runner = Runner()
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    runner.run(["git", "init", "-q", "-b", "main", str(folder)])
    runner.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "x"], cwd=folder)
    return folder


@pytest.mark.parametrize("words", corpus("options"), ids=name)
def test_options(desk: Desk, words: list[str]) -> None:
    desk.refused("run", "--dry-run", *words)


@pytest.mark.parametrize("text", corpus("tomls"), ids=name)
def test_options_files(desk: Desk, text: str) -> None:
    (desk.folder / "site.toml").write_text(text, "utf-8")
    sdk = () if "revision" in text or "sdk-repo" in text else ("--sdk", "sim")
    with pytest.raises(UsageError) as refused:  # noqa: PT012
        given = read(sdk, Path("site.toml"))
        given.plan()
        given.site()
        # What only the source of the SDK can tell.
        check_revision(given.settings.get("revision") or "main")
    assert not ESCAPES & set(harmless_lines(refused.value.message))
    assert CANARY not in {entry.name for entry in desk.folder.iterdir()}


@pytest.mark.parametrize("text", corpus("tomls"), ids=name)
def test_the_simulated_sdk_s_settings_are_never_a_traceback(desk: Desk, text: str) -> None:
    (desk.folder / "sim.toml").write_text(text, "utf-8")
    code, _, _ = desk.do("run", "--dry-run", "--sdk", "sim", "--sim-config", "sim.toml")
    assert code in {0, 2}


@pytest.mark.parametrize("revision", corpus("revisions"), ids=name)
def test_revisions(tmp_path: Path, repository: Path, revision: str) -> None:
    source = GitSource(Runner(), tmp_path / "cache", clock=FakeClock())
    with pytest.raises(UsageError):
        source.resolve(SourceRequest("agoric", revision=revision, repository=str(repository)))
    assert not list(tmp_path.rglob(CANARY)) + list(repository.rglob(CANARY))


@pytest.mark.parametrize("address", corpus("repositories"), ids=name)
def test_repositories(tmp_path: Path, address: str) -> None:
    source = GitSource(Runner(), tmp_path / "cache", clock=FakeClock())
    with pytest.raises(UsageError) as refused:
        source.resolve(SourceRequest("agoric", revision="main", repository=address or " "))
    assert not ESCAPES & set(harmless_lines(refused.value.message))
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("body", corpus("puts"), ids=name)
def test_load_configs(desk: Desk, body: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(body.encode("utf-8", "surrogatepass"), ("faucet", "amm", "vault"))
    desk.refused("load", "config", "set", "0123456789", body)


@pytest.mark.parametrize(
    "text", [text for text in (*corpus("run_names"), *corpus("revisions")) if text], ids=name
)
def test_names_of_runs(desk: Desk, text: str) -> None:
    for command in (["stats"], ["regen"], ["top", "--once"]):
        desk.refused(*command, "--", text)


@pytest.mark.parametrize("line", [*corpus("slog_lines"), *corpus("log_lines")], ids=name)
@pytest.mark.parametrize("command", ["blocks", "stats", "vats"])
def test_slogs(desk: Desk, command: str, line: str) -> None:
    sane = b'{"time":1.5,"type":"create-vat","vatID":"v1","name":"bank"}\n'
    text = line.encode("utf-8", "surrogatepass") + b"\n"
    (desk.folder / "x.slog").write_bytes(sane + text + sane)
    assert desk.do("slog", command, "x.slog")[0] == 0


def results(folder: Path, kind: str) -> None:  # noqa: C901
    """A results folder that something is wrong with."""
    folder.mkdir()
    documents: dict[str, Any] = {"run.json": {"schema": 1, "run_id": "1", "plan": {"stages": []}}}
    rows: dict[str, bytes] = {"perf.jsonl": b'{"timestamp":0,"stage":-1,"type":"perf-start"}\n'}
    match kind:
        case "nan":
            rows["blocks.jsonl"] = b'{"stage":1,"blockHeight":1,"lag":NaN}\n'
        case "deep":
            documents["run.json"] = None
            rows["run.json"] = b'{"a":' * 100_000
        case "binary":
            rows["perf.jsonl"] = os.urandom(4096)
        case "endless":
            rows["perf.jsonl"] = b"x" * 200_000
        case "status-wrong":
            documents["status.json"] = {"outcome": ["x"], "owner": 5, "last_lines": "x"}
        case "stages-wrong":
            documents["run.json"]["plan"]["stages"] = [1, None, {"index": "x", "load": 5}]
        case "escapes":
            evil = "\x1b[31m\u202e\x9b2J[bold]"
            documents["run.json"] |= {"sdk": {"family": evil, "requested": evil}, "site": evil}
            documents["status.json"] = {"outcome": "failed", "reason": evil, "role": evil}
    for file, document in documents.items():
        if document is not None:
            (folder / file).write_text(json.dumps(document))
    for file, content in rows.items():
        (folder / file).write_bytes(content)
    what, _, how = kind.partition("-")
    place = {"run": "run.json", "perf": "perf.jsonl", "slog": "chain-stage-1.slog"}.get(what)
    if place and how in {"link", "pipe", "folder"}:
        (folder / place).unlink(missing_ok=True)
        if how == "link":
            (folder / place).symlink_to("/etc/passwd")
        elif how == "pipe":
            os.mkfifo(folder / place)
        else:
            (folder / place).mkdir()
    if kind == "shared-link":
        (folder / "shared").symlink_to("/etc")
    if kind == "empty":
        for entry in folder.iterdir():
            entry.unlink()


@pytest.mark.parametrize("kind", corpus("folders"))
@pytest.mark.parametrize("command", [("stats",), ("top", "--once"), ("regen",)])
def test_results_folders(desk: Desk, kind: str, command: tuple[str, ...]) -> None:
    results(desk.folder / "run", kind)
    before = {path.name for path in desk.folder.iterdir()}
    with pytest.raises(SystemExit) as end:
        main([*command, "run"])
    out, err = desk._capsys.readouterr()
    assert end.value.code in {0, 2}, err
    assert "Traceback" not in err, err
    assert not ESCAPES & set(out + err)
    assert "root:" not in out + err
    assert {path.name for path in desk.folder.iterdir()} == before
    if kind in {"run-link", "run-pipe", "run-folder"}:
        assert end.value.code == 2


@pytest.mark.parametrize("line", corpus("log_lines"), ids=name)
def test_log_lines_reach_the_terminal_without_their_codes(line: str) -> None:
    assert not ESCAPES & set(harmless_lines(line))
