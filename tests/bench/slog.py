"""The part `slog`: scanning and packing a long slog, beside the original's code and `gzip -9`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.bench.measure import (
    PYTHON,
    BenchError,
    Program,
    Spread,
    Usage,
    cpus,
    in_turns,
    peak,
    ratios,
    run,
    walls,
)
from tests.bench.report import table
from tests.bench.settings import LONG_SLOG, Settings

DRIVER: Final = Path(__file__).with_name("original_scan.mjs")
SCAN: Final = "loadgenctl, scan"
CENSUS: Final = "loadgenctl, scan with all types counted"
GZIP: Final = "loadgenctl, scan and gzip"
ZSTD: Final = "loadgenctl, scan and zstd"
SPLIT: Final = "original, splitter and monitor"
WIRED: Final = "original, as its runner joins them"
GZIP_9: Final = "`gzip -9`"
UNKNOWN: Final = "not measured"
PACKING_ROUNDS: Final = 2
"""`gzip -9` takes half a minute, and its CPU time hardly varies."""

Taken = dict[str, list[Usage]]


def measure(settings: Settings) -> list[str]:
    """Return the section's lines."""
    slog = settings.scratch / LONG_SLOG
    scans = {SCAN: _ours("scan", slog)}
    if settings.original is not None:
        scans = {**_original(settings, settings.original, slog), **scans}
    settings.make_long_slog(settings.megabytes)
    size = slog.stat().st_size / 1e6
    taken = in_turns(scans, settings.rounds)
    _same_answers(taken)
    archives = {
        name: settings.scratch / f"packed-{n}" for n, name in enumerate((GZIP, ZSTD, GZIP_9))
    }
    packed = in_turns(
        {
            GZIP: _ours("follow", slog, archives[GZIP], "gzip"),
            ZSTD: _ours("follow", slog, archives[ZSTD], "zstd"),
            GZIP_9: lambda: run(["gzip", "-9", "-c", slog], stdout=archives[GZIP_9]),
        },
        min(PACKING_ROUNDS, settings.rounds),
    )
    sizes = {name: path.stat().st_size / 1e6 for name, path in archives.items()}
    lines = [
        f"A slog of {size:.0f} MB, in the page cache. Scans: {settings.rounds} rounds,",
        f"alternating; packing: {len(packed[GZIP])} rounds. Medians, with the range.",
        "",
        *_programs({**taken, **packed}, sizes, size),
        "",
        *_ratios(taken, packed),
    ]
    lines += ["", *_commands(settings, slog)]
    slog.unlink()
    return lines


def _commands(settings: Settings, slog: Path) -> list[str]:
    """What the commands take as a person types them, beside the scan that each stands for."""
    program = Path(PYTHON).with_name("loadgenctl")
    taken = in_turns(
        {
            SCAN: _ours("scan", slog),
            CENSUS: _ours("census", slog),
            "`slog blocks`": lambda: run([program, "slog", "blocks", slog]),
            "`slog vats`": lambda: run([program, "slog", "vats", slog]),
            "`slog stats`": lambda: run([program, "slog", "stats", slog]),
        },
        settings.rounds,
    )
    scans = {"`slog blocks`": SCAN, "`slog vats`": SCAN, "`slog stats`": CENSUS}
    rows = []
    for name, usages in taken.items():
        scan = scans.get(name)
        ratio = "" if scan is None else ratios(cpus(usages), cpus(taken[scan])).text()
        rows.append([name, Spread.of(walls(usages)).text(), Spread.of(cpus(usages)).text(), ratio])
    return table(["command", "wall, s", "CPU, s", "times the CPU of its scan"], rows)


def _ours(*words: str | Path) -> Program:
    return lambda: run([PYTHON, "-m", "tests.bench.ours", *words])


def _original(settings: Settings, checkout: Path, slog: Path) -> dict[str, Program]:
    if not (checkout / "runner" / "node_modules").is_dir():
        raise BenchError(f"{checkout} is no checkout with the packages of its runner/ installed")
    argv: list[str | Path] = [settings.node, DRIVER, checkout.resolve(), slog]
    return {WIRED: lambda: run([*argv, "--wired"]), SPLIT: lambda: run(argv)}


def _same_answers(taken: Taken) -> None:
    """A faster program that finds something else would be no faster."""
    answers = {name: json.loads(usages[0].output) for name, usages in taken.items()}
    if any(answer != answers[SCAN] for answer in answers.values()):
        raise BenchError(f"the programs do not agree on what is in the slog: {answers}")


def _programs(taken: Taken, sizes: dict[str, float], size: float) -> list[str]:
    rows = []
    for name in (WIRED, SPLIT, SCAN, GZIP_9, GZIP, ZSTD):
        usages = taken.get(name)
        if usages is None:
            rows.append([name, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, ""])
            continue
        wall, archive = Spread.of(walls(usages)), sizes.get(name)
        rows.append(
            [
                name,
                wall.text(),
                Spread.of(cpus(usages)).text(),
                f"{size / wall.median:.0f}",
                "" if name == GZIP_9 else f"{peak(usages):.0f}",
                "" if archive is None else f"{archive:.1f} MB, 1 : {size / archive:.1f}",
            ]
        )
    return table(["program", "wall, s", "CPU, s", "MB/s", "peak memory, MB", "archive"], rows)


def _ratios(taken: Taken, packed: Taken) -> list[str]:
    scans, packs = [], []
    ours = taken[SCAN]
    for name in (WIRED, SPLIT):
        theirs = taken.get(name)
        wall = cpu = UNKNOWN
        if theirs is not None:
            wall = ratios(walls(theirs), walls(ours)).text(1)
            scan = Spread.of(cpus(theirs)).median
            both = [scan + usage.cpu_s for usage in packed[GZIP_9]]
            cpu = ratios(both, cpus(packed[GZIP])).text(1)
        scans.append([f"scan, wall time: {name}", wall, "10 or more"])
        packs.append([f"scan and gzip, CPU time: {name}, and `gzip -9`", cpu, "16 or more"])
    most = max(peak(ours), peak(packed[GZIP]), peak(packed[ZSTD]))
    rows = [*scans, *packs, ["loadgenctl's peak memory, MB", f"{most:.0f}", "64 or less"]]
    return table(["times as much as loadgenctl", "measured", "target"], rows)
