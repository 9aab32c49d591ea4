"""Built SDKs listed and removed, and what a build tells at its end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import FakeClock
from tests.unit.shell import Shell

from loadgenctl import resources
from loadgenctl.cli.merged_options import read_for_build
from loadgenctl.cli.sdk import KEPT_LOGS, new_log, remove_sdks, show_made, show_sdks
from loadgenctl.errors import OutputFolderError, UsageError
from loadgenctl.images import ImageRef
from loadgenctl.model import ResolvedRevision
from loadgenctl.run.context import ResolvedSdk
from loadgenctl.run.sdk_build import BuiltSdk
from loadgenctl.sdks import sim
from loadgenctl.sources.bundled import BundledTree
from loadgenctl.sources.sdk_cache import BuildRecord, CacheEntry, SdkCache, key_of

IMAGE = "sha256:" + "ab" * 32
RECORD = BuildRecord(
    family="agoric",
    content_id="fa7ff5e55e15e49d366852f5435b6dfa81396f73",
    requested="fa7ff5e55e",
    repository="https://git.example.test/sdk.git",
    image=IMAGE,
    recipe="1234",
    commit="fa7ff5e55e15e49d366852f5435b6dfa81396f73",
    commit_time=1622245178,
    built_at=1700000000.0,
    size_bytes=3 * 1024**3 // 2,
)
KEY = "agoric-fa7ff5e55e15-abababababab"
TAGS = {IMAGE: "loadgenctl/sdk-spring:0123"}


@pytest.fixture
def cache(tmp_path: Path) -> SdkCache:
    return SdkCache(tmp_path / "sdk")


def build(cache: SdkCache, record: BuildRecord = RECORD) -> CacheEntry:
    key = key_of(record)
    with cache.building(key, FakeClock()):
        partial = cache.partial(key)
        (partial / "src" / "file").write_text("built")
        return cache.finish(key, partial, record)


def table(cache: SdkCache, capsys: pytest.CaptureFixture[str], tags: dict[str, str] | None) -> str:
    show_sdks(cache, tags, as_json=False)
    return capsys.readouterr().out


def test_an_empty_cache_says_so(cache: SdkCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no built SDKs" in table(cache, capsys, TAGS)
    show_sdks(cache, TAGS, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_the_table(cache: SdkCache, capsys: pytest.CaptureFixture[str]) -> None:
    build(cache)
    build(
        cache,
        replace(RECORD, requested="[bold]\x1b[31mmain", recipe="5", image="sha256:" + "cd" * 32),
    )
    said = table(cache, capsys, TAGS)
    head = "key family revision commit time built size image"
    assert " ".join(said.splitlines()[0].split()) == head
    (line,) = (line for line in said.splitlines() if line.startswith(KEY))
    assert "1.5 GiB" in line
    assert "fa7ff5e55e " in line
    assert "2021-05-2" in line
    assert line.rstrip().endswith("loadgenctl/sdk-spring:0123")
    assert "cdcdcdcdcdcd (gone)" in said
    assert "[bold]" in said
    assert "\x1b" not in said
    assert f"3.0 GiB in {cache.root}" in said


def test_without_an_engine_images_are_shown_by_id(
    cache: SdkCache, capsys: pytest.CaptureFixture[str]
) -> None:
    build(cache)
    said = table(cache, capsys, None)
    assert "abababababab\n" in said.replace(" \n", "\n")
    assert "gone" not in said


def test_json(cache: SdkCache, capsys: pytest.CaptureFixture[str]) -> None:
    entry = build(cache)
    show_sdks(cache, TAGS, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {
        "key": KEY,
        "family": "agoric",
        "revision": "fa7ff5e55e",
        "commit": RECORD.commit,
        "commit_time": 1622245178,
        "repository": RECORD.repository,
        "built_at": 1700000000.0,
        "size_bytes": 3 * 1024**3 // 2,
        "image": "loadgenctl/sdk-spring:0123",
        "image_id": IMAGE,
        "source": str(entry.source),
    }


def test_one_is_removed(cache: SdkCache, capsys: pytest.CaptureFixture[str]) -> None:
    entry = build(cache)
    remove_sdks(cache, [KEY], everything=False)
    assert capsys.readouterr().out.startswith(f"removed {KEY} (")
    assert not entry.path.exists()


def test_one_that_a_run_uses_stays_and_the_others_go(
    cache: SdkCache, capsys: pytest.CaptureFixture[str]
) -> None:
    used = build(cache)
    other = build(cache, replace(RECORD, image="sha256:" + "cd" * 32))
    with cache.in_use(used.source), pytest.raises(UsageError, match=f"using the build {KEY}"):
        remove_sdks(cache, [], everything=True)
    assert used.source.is_dir()
    assert not other.path.exists()
    assert capsys.readouterr().out.count("removed") == 1


def test_all_takes_what_was_cut_and_what_another_version_left(cache: SdkCache) -> None:
    entry = build(cache)
    (entry.path / "build.json").write_text('{"from": "the future"}')
    cut = cache.partial("sim-0123-0123456789ab")
    assert cache.list() == []
    remove_sdks(cache, [], everything=True)
    assert not entry.path.exists()
    assert not cut.exists()


@pytest.mark.parametrize(("keys", "everything"), [([], False), ([KEY], True)])
def test_it_must_be_said_which(cache: SdkCache, keys: list[str], everything: bool) -> None:
    entry = build(cache)
    with pytest.raises(UsageError, match="which SDKs"):
        remove_sdks(cache, keys, everything=everything)
    assert entry.path.exists()


def test_an_unknown_key_is_named(cache: SdkCache) -> None:
    with pytest.raises(UsageError, match="no build 'x'") as caught:
        remove_sdks(cache, ["x"], everything=False)
    assert "loadgenctl sdk list" in str(caught.value.hint)


TAG = "loadgenctl/sdk-spring:0123"


def made(source: Path) -> BuiltSdk:
    resolved = ResolvedRevision("sim", "x", "c0ffee", 1, "c0ffee", "/repo")
    family = sim.make(resolved, BundledTree(resources.images("sim")))
    image = ImageRef(TAG, IMAGE, built=False)
    return BuiltSdk(ResolvedSdk(resolved, family, family.build()), image, source)


def test_a_build_tells_its_key_and_folder(
    cache: SdkCache, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = build(cache)
    show_made(cache, made(entry.source), as_json=False)
    assert capsys.readouterr().out == f"{KEY} (1.5 GiB) in {entry.source}\n"
    show_made(cache, made(entry.source), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert (document["key"], document["image"]) == (KEY, TAG)


def test_a_build_in_place_tells_its_folder(
    cache: SdkCache, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    show_made(cache, made(tmp_path / "own"), as_json=False)
    assert capsys.readouterr().out == f"{tmp_path / 'own'}\n"
    show_made(cache, made(tmp_path / "own"), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["source"] == str(tmp_path / "own")
    assert "key" not in document


def test_a_build_takes_only_options_that_change_it(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[run]\nstages = 3\nengine = "local"\n')
    given = read_for_build(["--sdk", "sim", "--src=x"], config)
    assert given.plan(only_build=True).engine == "docker"
    assert given.plan(only_build=True).source_dir == Path.cwd() / "x"
    with pytest.raises(UsageError, match="--stages does not change what is built") as caught:
        read_for_build(["--stages", "3"], config)
    assert "--revision" in str(caught.value.hint)


@pytest.mark.parametrize("command", ["sdk", "image"])
def test_the_help_of_build_tells_what_is_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    said = Shell(tmp_path, capsys).run(command, "build", "--help")
    assert said.exit_code == 0
    assert "--sdk-repo" in said.words
    assert "--stage.duration" not in said.words


def test_only_the_newest_build_logs_stay(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    for number in range(KEPT_LOGS + 5):
        new_log(folder, f"{number:03}").write_text("failed")
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == KEPT_LOGS
    assert names[-1] == f"build-{KEPT_LOGS + 4:03}.log"


def test_a_log_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFolderError, match="cannot use"):
        new_log(tmp_path / "file", "x")
