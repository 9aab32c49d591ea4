"""Built SDKs on disk: finished or not there, one builder at a time, nothing removed under a run."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.fakes import FakeClock

from loadgenctl.errors import Interrupted, UsageError
from loadgenctl.sources.sdk_cache import (
    BuildRecord,
    CacheEntry,
    SdkCache,
    key_of,
    remove_tree,
)

RECORD = BuildRecord(
    family="agoric",
    content_id="fa7ff5e55e15e49d366852f5435b6dfa81396f73",
    requested="fa7ff5e55e",
    repository="https://git.example.test/sdk.git",
    image="sha256:" + "ab" * 32,
    recipe="1234",
)
KEY = "agoric-fa7ff5e55e15-abababababab"


def build(cache: SdkCache, record: BuildRecord = RECORD) -> CacheEntry:
    key = key_of(record)
    with cache.building(key, FakeClock()):
        partial = cache.partial(key)
        (partial / "src" / "file").write_text("built")
        return cache.finish(key, partial, record)


def test_keys() -> None:
    assert key_of(RECORD) == KEY
    by_name = key_of(replace(RECORD, image="loadgenctl/sdk:1"))
    assert by_name != KEY
    assert by_name.startswith("agoric-fa7ff5e55e15-")


def test_only_exactly_this_build_is_found(tmp_path: Path) -> None:
    cache = SdkCache(tmp_path / "sdk")
    assert cache.lookup(RECORD) is None
    assert cache.list() == []
    made = build(cache)
    found = cache.lookup(replace(RECORD, requested="another name"))
    assert found == made
    assert (made.source / "file").read_text() == "built"
    for other in (
        replace(RECORD, recipe="other"),
        replace(RECORD, content_id=RECORD.content_id[:39] + "0"),
        replace(RECORD, image="sha256:" + "ab" * 31 + "cd"),
    ):
        assert key_of(other) == KEY
        assert cache.lookup(other) is None
    assert [entry.key for entry in cache.list()] == [KEY]


def test_an_unfinished_build_is_none(tmp_path: Path) -> None:
    cache = SdkCache(tmp_path)
    with cache.building(KEY, FakeClock()):
        (cache.partial(KEY) / "src" / "file").write_text("half")
    assert cache.lookup(RECORD) is None
    assert cache.list() == []
    wrong = json.dumps(asdict(RECORD) | {"built_at": "yesterday"})
    for text in ("", "{", "[]", "{}", "[" * 9000, wrong):
        (tmp_path / KEY / "src").mkdir(parents=True, exist_ok=True)
        (tmp_path / KEY / "build.json").write_text(text)
        assert cache.lookup(RECORD) is None


def test_abandoned_attempts_are_cleared_and_live_ones_kept(tmp_path: Path) -> None:
    cache = SdkCache(tmp_path)
    dead, live = f"{KEY[:-1]}0.partial-1", f"{KEY[:-1]}1.partial-2"
    for name in (dead, live):
        (tmp_path / name / "src").mkdir(parents=True)
    with cache.building(live.partition(".")[0], FakeClock()):
        # The live attempt's own lock clears its own key's leftovers: make it again, as it would.
        (tmp_path / live / "src").mkdir(parents=True)
        build(cache)
        assert (tmp_path / live).exists()
    assert not (tmp_path / dead).exists()


def test_a_second_builder_says_that_it_waits_and_can_give_up(tmp_path: Path) -> None:
    cache = SdkCache(tmp_path)
    said: list[str] = []
    clock = FakeClock()

    def give_up() -> None:
        if len(clock.slept) == 3:
            raise Interrupted("enough")

    with (
        cache.building(KEY, FakeClock()),
        pytest.raises(Interrupted),
        cache.building(KEY, clock, on_wait=lambda: said.append("waiting"), check=give_up),
    ):
        pytest.fail("two builders of one key")
    assert said == ["waiting"]
    with cache.building(KEY, clock, on_wait=lambda: said.append("again")):
        assert said == ["waiting"]


def test_a_stale_build_makes_way(tmp_path: Path) -> None:
    cache = SdkCache(tmp_path)
    build(cache)
    newer = replace(RECORD, recipe="newer")
    build(cache, newer)
    assert cache.lookup(newer) is not None
    assert cache.lookup(RECORD) is None
    assert {path.name for path in tmp_path.iterdir()} == {KEY, ".locks"}


def test_removing(tmp_path: Path) -> None:
    cache = SdkCache(tmp_path)
    made = build(cache)
    with cache.in_use(made.source), pytest.raises(UsageError, match="is using"):
        cache.remove(KEY)
    with cache.building(KEY, FakeClock()), pytest.raises(UsageError, match="being built"):
        cache.remove(KEY)
    assert made.source.is_dir()
    assert cache.remove(KEY) > 0
    assert cache.list() == []
    for bad in (KEY, "..", "../x", ".locks", ""):
        with pytest.raises(UsageError, match="no build"):
            cache.remove(bad)
    with cache.in_use(tmp_path):
        pass  # not a build: nothing to hold


def test_folders_without_write_permission_can_go(tmp_path: Path) -> None:
    inner = tmp_path / "tree" / "mod" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    (tmp_path / "tree" / "link").symlink_to("/")
    inner.chmod(0o555)
    inner.parent.chmod(0o555)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
    assert os.access("/", os.X_OK)
