"""Runs to which something is done: several at once, each watched to its end and looked over."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pytest
import zstandard
from tests.integration.loadgenctl_process import (
    Desk,
    Ended,
    Loadgenctl,
    Records,
)
from tests.waiting import eventually

from loadgenctl.records import schema
from loadgenctl.records.reader import parse_row

AT_ONCE = 5
"""Runs that go on at the same time: most of a run's time is waiting."""
NOTICED = 5.0
"""Seconds until status.json tells what went wrong; what still runs is stopped after that."""
ROW_FILES = (schema.PERF, schema.EVENTS, schema.BLOCKS, schema.CYCLES, schema.SAMPLES)


@dataclass(frozen=True, slots=True)
class Observed:
    """A run that has ended, looked over right then."""

    ended: Ended
    records: Records
    left: list[str]
    """Containers, networks and volumes that were still there at its end."""
    named_at: float | None = None
    """Epoch seconds at which status.json was first seen to tell why; None: never."""
    struck_at: float | None = None
    """Epoch seconds at which the test struck, if it did."""

    @property
    def status(self) -> dict[str, Any]:
        """status.json."""
        return self.records.status


def observe(
    desk: Desk,
    *words: str,
    strike: Callable[[Loadgenctl, Records], float | None] | None = None,
    timeout: float = 60.0,
    **env: str,
) -> Observed:
    """Do a run to its end; `strike` is called when it goes on and may tell when it struck."""
    command, records = desk.start(*words, **env)
    with command:
        struck_at = None if strike is None else strike(command, records)

        def named() -> bool:
            return not command.running or records.status.get("reason") is not None

        eventually(named, "it tells why, or ends", timeout=timeout, evidence=lambda: command.stderr)
        named_at = time.time()
        ended = command.end(timeout=timeout)
        left = desk.engine.left(command.pid)
    why = records.status.get("reason")
    return Observed(ended, records, left, None if why is None else named_at, struck_at)


def at(records: Records, event: str, stage: int) -> float:
    """The epoch time of a stage's perf event."""
    rows = records.rows("perf.jsonl")
    (found,) = (row for row in rows if (row["type"], row["stage"]) == (f"perf-{event}", stage))
    return float(records.document("run.json")["started_at"]) + float(found["timestamp"])


def last_block_at(records: Records) -> float:
    """The epoch time at which the last block ended that has an end."""
    ends = [row["endFinishAt"] for row in records.rows("blocks.jsonl") if "endFinishAt" in row]
    return float(ends[-1])


def assert_whole(desk: Desk, records: Records, *, killed: bool = False) -> None:
    """Every record can be read to its end, and `stats` reads the folder.

    What a killed run was writing at its end may lack its end, and nothing else.
    """
    folder = records.folder
    for name in ROW_FILES:
        if not (folder / name).exists():
            continue
        *lines, rest = (folder / name).read_bytes().split(b"\n")
        assert killed or rest == b"", f"{name} ends in a torn line"
        assert None not in [parse_row(line) for line in lines], f"{name} holds a torn line"
    for path in folder.rglob("*.gz"):
        _assert_gzip(path.read_bytes(), path.name, killed=killed)
    for path in folder.rglob("*.tar.zst"):
        stream = zstandard.ZstdDecompressor().decompressobj()
        stream.decompress(path.read_bytes())
        assert stream.eof, f"{path.name} is cut off"
    shown, _ = desk.do("stats", str(folder), DOCKER_HOST="unix:///none")
    assert shown.exit_code == 0, shown.stderr
    assert "Traceback" not in shown.stderr


def _assert_gzip(data: bytes, name: str, *, killed: bool) -> None:
    while data:
        stream = zlib.decompressobj(wbits=31)
        stream.decompress(data)
        assert stream.eof or killed, f"{name} is cut off"
        data = stream.unused_data


class Case(Protocol):
    """One parameter of a test, which knows how to be observed."""

    @property
    def name(self) -> str:
        """Unique among the parameters."""
        ...

    def observe(self, desk: Desk) -> Observed:
        """Do it to its end, on any thread."""
        ...


C = TypeVar("C", bound=Case)


@contextmanager
def crowd(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Callable[[Case], Observed]]:
    """What became of a case; those of all chosen tests of the module are on their way already."""
    chosen: dict[str, Case] = {}
    for item in request.session.items:
        if item.path == request.path and isinstance(item, pytest.Function):
            case = getattr(item, "callspec", None)
            if case is not None and "case" in case.params:
                chosen[case.params["case"].name] = case.params["case"]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="case") as pool:
        going: dict[str, Future[Observed]] = {
            name: pool.submit(case.observe, desk) for name, case in chosen.items()
        }
        try:
            yield lambda case: going[case.name].result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def now() -> float:
    """Epoch seconds."""
    return time.time()
