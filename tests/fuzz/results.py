"""A results folder: summary, tables, reports, what `regen` would write, and how `top` shows it.

The input's parts are divided by NUL; the first byte of each says which file the rest is.
"""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from tests.fake_clock import EPOCH
from tests.fuzz import mutate
from tests.fuzz.target import Target, folder, require_harmless
from tests.unit.run_maker import loaded_run
from tests.unit.slog_maker import Slog

from loadgenctl.cli.print_data import json_text
from loadgenctl.records import schema
from loadgenctl.records.computed_files import require_ended
from loadgenctl.records.reader import RunFolder
from loadgenctl.reports.facts import RunFacts, read_facts
from loadgenctl.reports.junit import junit
from loadgenctl.reports.markdown import page
from loadgenctl.reports.text import print_summary
from loadgenctl.reports.top_view import foot, picture
from loadgenctl.stats.columnar import tables
from loadgenctl.stats.live_state import LiveRun
from loadgenctl.stats.regen import regenerate
from loadgenctl.stats.run_rows import run_row, table

_FILES: Final = (
    schema.RUN,
    schema.STATUS,
    schema.PERF,
    schema.EVENTS,
    schema.BLOCKS,
    schema.CYCLES,
    schema.SAMPLES,
    schema.SUMMARY,
    "chain-stage-1.slog",
    "shared/events-stage-2.jsonl",
)


def one_input(data: bytes) -> None:
    """See `Target.one_input`."""
    with folder() as place:
        run = place / "run"
        run.mkdir()
        for part in data.split(b"\0"):
            if part:
                file = run / _FILES[part[0] % len(_FILES)]
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(part[1:])
        _read(run)


def _read(run: Path) -> None:
    records = RunFolder(run)
    facts = read_facts(run)
    drawn = zlib.crc32(b"".join(file.read_bytes() for file in run.iterdir() if file.is_file())) % 4
    shown = [json_text(facts.summary), page(facts)]
    if drawn == 0:
        # Drawing takes most of the time: of every fourth input it tells enough.
        shown += [_text(facts), junit([facts]).decode()]
    columns, rows = table([run_row(run)])
    assert all(set(row) <= set(columns) for row in rows)
    tables([run])
    made = regenerate(run)
    for content in made.content.values():
        # What is written can be read again.
        for line in content.splitlines() if content[:1] == b"{" and b"\n{" in content else ():
            json.loads(line)
    if not records.original:
        standing = LiveRun(run).poll(EPOCH + 100)
        shown += [json_text(standing), *(_screen(standing) if drawn == 0 else ())]
    require_ended(records, force=True)
    for text in shown:
        require_harmless(text)


def _text(facts: RunFacts) -> str:
    out = io.StringIO()
    print_summary(Console(file=out, width=100), facts.summary)
    return out.getvalue()


def _screen(standing: dict[str, Any]) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=100)
    for line in (*picture(standing, 100, 40), *picture(standing, 200), foot(standing)):
        console.print(line)
    return [out.getvalue()]


def seeds() -> list[bytes]:
    """A run under load, the original's folder, and every file alone."""
    with folder() as place:
        run = loaded_run(place / "run").folder
        slog = Slog().block(7).block(8, 2).block(9).content()
        files = {name: _content(run / name) for name in _FILES} | {"chain-stage-1.slog": slog}
    files[schema.STATUS] = json.dumps(
        {"outcome": "failed", "stage": 1, "role": "chain", "reason": "x", "started_at": EPOCH,
         "finished_at": EPOCH + 99, "exit_code": 4, "last_lines": ["x"], "owner": None,
         "containers": [{"role": "chain", "stage": 1, "exit_code": 0}]}
    ).encode()  # fmt: skip
    whole = _joined(files)
    alone = [_joined({schema.RUN: b"{}", name: content}) for name, content in files.items()]
    return [whole, _joined({schema.PERF: _original()}), *alone]


def _original() -> bytes:
    """perf.jsonl of the original load generator."""
    block = {"blockHeight": 5, "blockTime": 4, "liveMode": True, "beginAt": 5.5, "lag": 1.5}
    block |= {"endStartAt": 6, "endFinishAt": 7, "swingsetTime": 1, "deliveries": 2}
    cycle = {"task": "faucet", "seq": 0, "success": True, "startedAt": 5, "endedAt": 9}
    stage = {"stageConfig": {"chainOnly": False}, "blocks": {"5": block}, "cycles": {"a": cycle}}
    usage = {"processType": "vat", "vatID": "v1", "name": "x", "real": 1.5, "user": 1, "vmRss": 9}
    rows: list[dict[str, Any]] = [
        {"type": "perf-start", "timestamp": 0, "stage": -1, "elapsed": 0, "timeOrigin": EPOCH},
        {"type": "perf-stage-start", "timestamp": 1, "stage": 1, "elapsed": 0},
        {"type": "perf-stage-first-block", "timestamp": 2, "stage": 1, "elapsed": 1, "block": 5},
        {"type": "perf-chain-process-usage", "timestamp": 3, "stage": 1, "elapsed": 2, **usage},
        {"type": "perf-chain-storage-usage", "timestamp": 3, "stage": 1, "chain": {"a": 5, "b": 7}},
        {"type": "perf-stage-finish", "timestamp": 9, "stage": 1, "elapsed": 8},
        {"type": "perf-finish", "timestamp": 9, "stage": -1,
         "stats": {"metadata": {"testData": {"sdk-revision": "a"}}, "stages": {"1": stage}}},
    ]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _content(file: Path) -> bytes:
    # Of many rows that are alike some tell as much.
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    return b"".join(lines[:24])


def _joined(files: dict[str, bytes]) -> bytes:
    parts = (bytes([_FILES.index(name) or len(_FILES)]) + text for name, text in files.items())
    return b"\0".join(parts)


def _mutate(data: bytes, seed: int) -> bytes:
    parts = data.split(b"\0")
    place = seed % len(parts)
    head, rest = parts[place][:1], parts[place][1:]
    parts[place] = head + mutate.lines(rest, seed // len(parts)).replace(b"\0", b"")
    return b"\0".join(parts)


TARGET: Final = Target(
    "results",
    "the reader of results folders",
    one_input,
    seeds,
    _mutate,
    ("loadgenctl.records", "loadgenctl.stats", "loadgenctl.reports"),
)
