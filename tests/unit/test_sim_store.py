"""The simulated chain's state: what is committed survives, what is not does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from images.sim.simsdk.mempool import Mempool
from images.sim.simsdk.store import RECENT, Block, Store, StoreError


def commit(store: Store, height: int, *ids: str) -> None:
    results = [{"id": identity, "code": 0, "data": {}} for identity in ids]
    block = Block(height, float(height), results=results)
    store.commit(block, [("v1", height, 10)], "=" * 5)


def test_committed_blocks_are_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "data" / "log")
    store.set("a", 1)
    store.set("b", 2)
    commit(store, 0)
    store.set("a", None)
    store.set("b", 3)
    commit(store, 1, "tx1")
    store.set("b", 4)
    store.close()
    again = Store(tmp_path / "data" / "log")
    assert again.height == 1
    assert again.get("a") is None
    assert again.get("b") == 3
    assert again.transcripts == {"v1": [(0, 10), (1, 10)]}
    assert again.done["tx1"][0] == 1


@pytest.mark.parametrize("cut", [1, 10, 50])
def test_a_torn_last_line_is_cut_off_and_the_log_goes_on(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log"
    store = Store(path)
    store.set("a", "kept")
    commit(store, 0)
    whole = path.stat().st_size
    store.set("a", "torn")
    commit(store, 1)
    store.close()
    path.write_bytes(path.read_bytes()[:-cut])
    again = Store(path)
    assert (again.height, again.get("a")) == (0, "kept")
    assert path.stat().st_size == whole
    commit(again, 1)
    again.close()
    assert Store(path).height == 1


def test_damage_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b'{"height": 0}\n')
    with pytest.raises(StoreError, match="line 1 is damaged"):
        Store(path)


def test_changes_can_be_taken_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "log")
    store.set("a", 1)
    store.begin()
    store.set("a", 2)
    store.set("b", 3)
    store.rollback()
    assert (store.get("a"), store.get("b")) == (1, None)
    commit(store, 0)
    store.close()
    assert Store(tmp_path / "log").get("a") == 1


def test_readers_see_the_last_block_while_the_next_one_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "log")
    store.set("a", 1)
    assert store.committed("a", 0) == 0
    commit(store, 0)
    store.set("a", 2)
    store.set("a", 3)
    assert (store.get("a"), store.committed("a")) == (3, 1)
    commit(store, 1)
    assert store.committed("a") == 3
    store.close()


def test_only_recent_blocks_stay_in_memory(tmp_path: Path) -> None:
    store = Store(tmp_path / "log")
    for height in range(RECENT + 5):
        commit(store, height, f"tx{height}")
    assert len(store.blocks) == len(store.done) == RECENT
    assert "tx4" not in store.done
    assert "tx5" in store.done
    store.close()


def test_waiting_transactions_are_in_order_unique_and_survive_a_graceful_stop(
    tmp_path: Path,
) -> None:
    pool = Mempool(tmp_path / "mempool.json", limit=3)
    assert all(pool.add({"id": name}) for name in ("a", "b", "a", "c"))
    assert not pool.add({"id": "d"})
    assert pool.take(1) == [{"id": "a"}]
    pool.save()
    again = Mempool(tmp_path / "mempool.json")
    assert again.take(10) == [{"id": "b"}, {"id": "c"}]
    assert not (tmp_path / "mempool.json").exists()


def test_a_damaged_mempool_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "mempool.json"
    path.write_text(json.dumps([{"id": "a"}, 3]))
    assert len(Mempool(path)) in (0, 1)
