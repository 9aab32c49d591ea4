"""Text, numbers, sizes and times as a person reads them, and text from outside made harmless."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Final

MISSING: Final = "-"

ESCAPES: Final = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[P^_X][^\x1b]*\x1b\\"  # strings for the terminal
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colors, cursor movements
    r"|\x1b[ -/]*[0-~]"  # all other escape sequences
)
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_AGES: Final = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def clean(text: object, limit: int = 400) -> str:
    """`text` on one line, without escapes, control or invisible direction characters.

    Text of an SDK, a log or a file must not control the terminal it is shown on.
    """
    return _cut(" ".join(harmless(str(text)).split()), limit)


def log_line(text: object, limit: int = 400) -> str:
    """The same for a line of a log, whose indentation has a meaning."""
    return _cut(harmless(str(text).expandtabs(4)).rstrip(), limit)


def harmless(text: str) -> str:
    """`text` without escapes; other control and invisible direction characters become spaces."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " for char in ESCAPES.sub("", text))


def harmless_lines(text: str) -> str:
    """The same for text of several lines."""
    return "\n".join(map(harmless, text.split("\n")))


def _cut(line: str, limit: int) -> str:
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _numeric(value: object) -> float | int | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def number(value: object, digits: int = 0) -> str:
    """`12 345.67`; a dash for what is missing."""
    known = _numeric(value)
    return MISSING if known is None else f"{known:,.{digits}f}".replace(",", " ")


def count(value: object) -> str:
    """`12 345`, and of averages below 1000 one decimal digit: `16.6`."""
    known = _numeric(value)
    whole = not isinstance(known, float) or known.is_integer()
    return number(value, 0 if whole or abs(known or 0) >= 1000 else 1)


def seconds(value: object) -> str:
    """Seconds with as many digits as are significant: `0.0012`, `1.76`, `93.1`, `1 204`."""
    size = abs(_numeric(value) or 0)
    digits = 0 if size >= 1000 else 1 if size >= 10 else 2 if size >= 1 else 3 if size else 0
    return number(value, 4 if 0 < size < 0.01 else digits)


def percent(value: object, digits: int = 1) -> str:
    """`5.9`, without a sign: the column's head has it."""
    return number(value, digits)


def mebibytes(value: object, per_mib: int = 1024) -> str:
    """KiB, or what `per_mib` of are a MiB, as MiB: `612`, `48.2`."""
    known = _numeric(value)
    mib = None if known is None else known / per_mib
    return number(mib, 1 if mib is not None and mib < 100 else 0)


def bytes_as_mebibytes(value: object) -> str:
    """Bytes as MiB, as `mebibytes` writes them."""
    return mebibytes(value, 1 << 20)


def size(bytes_count: float) -> str:
    """Bytes: `512 B`, `1.5 GiB`."""
    unit = 0
    while bytes_count >= 1000 and unit < len(_UNITS) - 1:
        bytes_count /= 1024
        unit += 1
    digits = 0 if unit == 0 or bytes_count >= 100 else 1
    return f"{bytes_count:.{digits}f} {_UNITS[unit]}"


def duration(value: object) -> str:
    """`4.2 s`, `3:20` minutes, `2:05:00` hours."""
    known = _numeric(value)
    if known is None:
        return MISSING
    return f"{known:.1f} s" if known < 60 else clock_text(round(known)).strip()


def clock_text(seconds: float) -> str:
    """`1:02:03` or ` 2:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:2}:{rest:02}"


def moment(epoch: float | None) -> str:
    """A time in epoch seconds as the local time; empty for none."""
    return "" if not epoch else time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch))


def age(seconds: float) -> str:
    """`just now`, `1 minute`, `3 hours`, `12 days`."""
    for length, name in _AGES:
        whole = int(seconds // length)
        if whole >= 1:
            return f"{whole} {name}{'s' if whole > 1 else ''}"
    return "just now"


def stage_of(stage: object, stages: int | None) -> str:
    """`stage 1/3`: its number, of which the last one is 3; of a single stage only its number."""
    return f"stage {stage}" if stages is None or stages < 2 else f"stage {stage}/{stages - 1}"


def clock_step(step: Mapping[str, Any]) -> str:
    """A row of `clock_steps`: `the clock was set forward by 3 600.0 s in block 3`."""
    moved, height = _numeric(step.get("seconds")) or 0, step.get("block")
    way = "forward" if moved > 0 else "back"
    where = "" if height is None else f" in block {clean(height)}"
    return f"the clock was set {way} by {number(abs(moved), 1)} s{where}"
