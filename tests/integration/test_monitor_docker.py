"""The sampler on containers of a real Docker engine."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docker_support import DockerUnderTest

from loadgenctl.clock import SystemClock
from loadgenctl.engines import ownership_labels
from loadgenctl.engines.base import Handle
from loadgenctl.engines.docker import DockerEngine
from loadgenctl.model import Command, Limits, RoleSpec
from loadgenctl.monitor.sampler import Sampler
from loadgenctl.owner import Owner
from loadgenctl.records.reader import Row, RunFolder
from loadgenctl.records.store import RunStore

pytestmark = pytest.mark.docker

PATIENCE = 30.0
RUN = f"monitor-{os.getpid()}"
MEMORY = 64 * 1024 * 1024

# Uses CPU, keeps a file of 20 MiB in the page cache, says so and waits.
WORK = (
    "head -c 20971520 /dev/zero >/tmp/file; "
    "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo done; exec sleep 300"
)


class Bench:
    """An engine, a results folder and a sampler over both."""

    def __init__(self, engine: DockerEngine, image: str, folder: Path) -> None:
        self.engine = engine
        self.store = RunStore.create(folder / "run", SystemClock())
        self.store.perf_start()
        self.sampler = Sampler(engine, SystemClock(), self.store, interval=3600, deadline=PATIENCE)
        self._image = image
        self._serial = itertools.count()

    def working(self) -> Handle:
        """A container that has done its work and lives on."""
        spec = RoleSpec(
            name=f"loadgenctl-{RUN}-{next(self._serial)}",
            role="chain",
            image=self._image,
            command=Command(("sh", "-c", WORK)),
            limits=Limits(memory_bytes=MEMORY),
            labels=ownership_labels.make(Owner.current(), RUN, "chain"),
        )
        handle = self.engine.create(spec)
        self.engine.start(handle)
        clock, log = SystemClock(), self.engine.follow(handle)
        until = clock.monotonic() + PATIENCE
        said = b""
        while b"done" not in said and clock.monotonic() < until:
            said += log.poll()
            clock.sleep(0.05)
        log.close()
        assert b"done" in said
        return handle

    def sampled(self) -> Row:
        """The newest row after a snapshot."""
        assert self.sampler.snapshot_now(timeout=PATIENCE)
        *_, last = RunFolder(self.store.folder).samples()
        return last


@pytest.fixture
def bench(docker_under_test: DockerUnderTest, tmp_path: Path) -> Iterator[Bench]:
    engine = docker_under_test.engine()
    made = Bench(engine, docker_under_test.image, tmp_path)
    yield made
    made.sampler.close()
    for item in engine.leftovers():
        if item.labels.get(ownership_labels.RUN) == RUN:
            engine.remove_leftover(item)
    engine.close()


def test_a_container_s_numbers_go_on_in_the_next_one(bench: Bench) -> None:
    first = bench.working()
    bench.sampler.watch("chain", first)
    row = bench.sampled()
    assert row["reason"] is None
    assert row["epoch"] == 0
    assert row["cpu_total_s"] > 0.01
    assert row["memory_limit_bytes"] == MEMORY
    assert 0 < row["memory_bytes"] < row["memory_usage_bytes"] <= MEMORY
    assert row["memory_usage_bytes"] - row["memory_bytes"] > 10 * 1024 * 1024
    assert row["pids"] >= 1

    bench.sampler.unwatch("chain")
    bench.engine.remove(first)
    bench.sampler.watch("chain", bench.working())
    after = bench.sampled()
    assert after["epoch"] == 1
    assert after["cpu_total_s"] > row["cpu_total_s"]


def test_a_container_that_is_gone_is_a_row_without_values(bench: Bench) -> None:
    handle = bench.working()
    bench.sampler.watch("chain", handle)
    bench.engine.remove(handle)
    row = bench.sampled()
    assert row["cpu_total_s"] is None
    assert row["reason"]
