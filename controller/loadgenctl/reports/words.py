"""Numbers and strings as a person reads them in a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

MISSING: Final = "-"

_ESCAPES: Final = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[P^_X][^\x1b]*\x1b\\"  # strings for the terminal
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]"  # CSI and two-character escapes
)


def clean(text: object, limit: int = 400) -> str:
    """`text` on one line, without escapes, control or invisible direction characters.

    What comes from an SDK, a log or a file must not drive the terminal it is shown on.
    """
    return _cut(" ".join(harmless(str(text)).split()), limit)


def log_line(text: object, limit: int = 400) -> str:
    """The same for a line of a log, whose indentation has a meaning."""
    return _cut(harmless(str(text).expandtabs(4)).rstrip(), limit)


def harmless(text: str) -> str:
    """`text` without escapes; other control and invisible direction characters become spaces."""
    bare = _ESCAPES.sub("", text)
    return "".join(char if char.isprintable() else " " for char in bare)


def _cut(line: str, limit: int) -> str:
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(value: object, digits: int = 0) -> str:
    """`12 345.67`; a dash for what is missing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MISSING
    return f"{value:,.{digits}f}".replace(",", " ")


def count(value: object) -> str:
    """`12 345`, and of averages below 1000 one decimal digit: `16.6`."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    small = isinstance(value, int | float) and abs(value) < 1000
    return number(value, 1 if small and not whole else 0)


def seconds(value: object) -> str:
    """Seconds with as many digits as tell something: `0.0012`, `1.76`, `93.1`, `1 204`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MISSING
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 3 if size else 0
    return number(value, 4 if 0 < size < 0.01 else digits)


def duration(value: object) -> str:
    """`4.2 s`, `3:20` minutes, `2:05:00` hours."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return MISSING
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def stage_of(stage: object, count: int | None) -> str:
    """`stage 1/3`: its number, of which the last one is 3; of a single stage only its number."""
    return f"stage {stage}" if count is None or count < 2 else f"stage {stage}/{count - 1}"


def mebibytes(kib: object) -> str:
    """KiB as MiB: `612`, `48.2`."""
    if isinstance(kib, bool) or not isinstance(kib, int | float):
        return MISSING
    mib = kib / 1024
    return number(mib, 1 if mib < 100 else 0)


def bytes_as_mebibytes(size: object) -> str:
    """Bytes as MiB, as `mebibytes` writes them."""
    if isinstance(size, bool) or not isinstance(size, int | float):
        return MISSING
    return mebibytes(size / 1024)


def percent(value: object, digits: int = 1) -> str:
    """`5.9`, without a sign: the column's head has it."""
    return number(value, digits)


def clock_step(step: Mapping[str, Any]) -> str:
    """A row of `clock_steps`: `the clock was set forward by 3 600.0 s in block 3`."""
    moved, height = step.get("seconds"), step.get("block")
    moved = moved if isinstance(moved, int | float) else 0.0
    way = "forward" if moved > 0 else "back"
    where = "" if height is None else f" in block {clean(height)}"
    return f"the clock was set {way} by {number(abs(moved), 1)} s{where}"
