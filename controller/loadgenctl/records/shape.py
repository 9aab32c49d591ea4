"""Which values the records of a results folder may hold; the columns are in `records.columns`.

A folder may come from anywhere: a value may have another type, be out of all bounds, or be nested
without end. It is checked here, where it is read, so that no other code has to. A row with a value
of a wrong kind is damaged as a whole; of a document only that value is left out. null is a value
that is not known. Fields without a column may be anything, numbers within `MOST`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeGuard

from loadgenctl.records import columns, schema
from loadgenctl.records.columns import Column, Kind

Check = Callable[[object], bool]

DEEPEST: Final = 100
"""Levels of nesting; what is read is also written again, which is possible up to about 250."""
MOST: Final = 1e20
"""No count or size is larger: an engine reports a memory without limit as nearly 2**63 bytes."""
LATEST: Final = 1e12
"""No clock shows more seconds than this."""
WHOLE: Final = 1 << 53
"""Whole numbers are exact up to this one wherever JSON is read."""
STAGES: Final = 1_000_000
"""No run has as many stages."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a row or a document that are checked."""

    fields: Mapping[str, Kind | Shape]
    """By name; a shape is an object inside."""
    required: tuple[str, ...] = ()
    """A row without one of them is damaged."""
    sparse: bool = False
    """A field that is null is left out: readers only want what is there."""
    checks: Mapping[str, Check] = field(init=False)
    """By name. Found once, because there are many rows."""

    def __post_init__(self) -> None:
        """Find the checks."""
        checks = {
            name: _is_object if isinstance(kind, Shape) else _CHECKS[kind]
            for name, kind in self.fields.items()
        }
        object.__setattr__(self, "checks", checks)

    @classmethod
    def of(cls, described: Sequence[Column], *, sparse: bool = False) -> Shape:
        """The shape of rows, or of a document, with these columns."""
        fields: dict[str, Kind | Shape] = {}
        inside: dict[str, list[Column]] = {}
        required = tuple(column.name for column in described if column.required)
        for column in described:
            outer, dot, inner = column.name.partition(".")
            if dot:
                inside.setdefault(outer, []).append(replace(column, name=inner))
            elif column.kind != "any":
                fields[outer] = column.kind
        fields |= {name: cls.of(part) for name, part in inside.items()}
        return cls(fields, required, sparse)


def is_number(value: object) -> bool:
    """True for a number that can be used in sums."""
    return (type(value) is int or type(value) is float) and -MOST < value < MOST


def is_time(value: object) -> bool:
    """True for a number of seconds that a clock can show."""
    return (type(value) is int or type(value) is float) and -LATEST < value < LATEST


def is_whole(value: object) -> bool:
    """True for a whole number that is exact wherever JSON is read."""
    return type(value) is int and -WHOLE < value < WHOLE


def is_stage(value: object) -> bool:
    """True for the number of a stage, or -1 for outside of stages."""
    return type(value) is int and -1 <= value < STAGES


def mapping_of(value: object) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return type(value) is dict


def _list_of(check: Check, *, nulls: bool = False) -> Check:
    return lambda value: (
        type(value) is list and all(check(item) or (nulls and item is None) for item in value)
    )


def _object_of(check: Check) -> Check:
    return lambda value: _is_object(value) and all(map(check, value.values()))


def _is_vat(value: object) -> bool:
    """What the agent writes of a vat: its id, and its name where that is known."""
    return _is_object(value) and _is_text(value.get("vat")) and _is_text(value.get("name") or "")


_CHECKS: Final[Mapping[Kind, Check]] = {
    "text": _is_text,
    "whole": is_whole,
    "number": is_number,
    "time": is_time,
    "stage": is_stage,
    "truth": lambda value: type(value) is bool,
    "object": _is_object,
    "texts": _list_of(_is_text),
    "objects": _list_of(_is_object),
    "words": _object_of(_is_text),
    "sizes": _object_of(is_number),
    "vats": _list_of(_is_vat),
    "times": _list_of(is_time, nulls=True),
    "wholes": _list_of(is_whole, nulls=True),
}

BLOCK: Final = Shape.of(columns.BLOCK, sparse=True)
CYCLE: Final = Shape.of(columns.CYCLE)
STATUS: Final = Shape.of(columns.STATUS)
_EVENT: Final = Shape.of(columns.EVENT)
_AGENT_LINE: Final = Shape.of(columns.AGENT_LINE)
_PLAN_STAGE: Final = Shape.of(columns.PLAN_STAGE)
_ANY_ROW: Final = Shape({})
_ROWS: Final[Mapping[str, Shape]] = {
    schema.PERF: Shape.of(columns.PERF),
    schema.EVENTS: _EVENT,
    schema.BLOCKS: BLOCK,
    schema.CYCLES: CYCLE,
    schema.SAMPLES: Shape.of(columns.SAMPLE),
}
_DOCUMENTS: Final[Mapping[str, Shape]] = {
    schema.STATUS: STATUS,
    schema.RUN: Shape.of(columns.RUN),
}


def shape_of(file: str) -> Shape:
    """The shape of a file's rows, by its name; any row for a file that is not known."""
    name = file.rpartition("/")[2]
    # Roles write these two; the run copies their rows.
    if name.startswith("events-stage-"):
        return _EVENT
    if name.startswith("agent-stage-"):
        return _AGENT_LINE
    return _ROWS.get(name, _ANY_ROW)


def well_formed(row: dict[str, Any], shape: Shape) -> bool:
    """Whether a row has a shape; takes nulls out of it where the shape is sparse."""
    check_of = shape.checks.get
    for name, value in row.items():
        if (check := check_of(name)) is not None:
            if value is not None and not check(value):
                return False
        elif (type(value) is float or type(value) is int) and not -MOST < value < MOST:
            return False
    if shape.sparse and None in row.values():
        for name in [name for name, value in row.items() if value is None]:
            del row[name]
    return all(row.get(name) is not None for name in shape.required)


def without_damage(document: Mapping[str, Any], shape: Shape) -> tuple[dict[str, Any], int]:
    """A document without the fields of a wrong kind, and how many these are."""
    kept: dict[str, Any] = {}
    damaged = 0
    for name, value in document.items():
        kind = shape.fields.get(name)
        if value is None or kind is None:
            kept[name] = value
        elif isinstance(kind, Shape):
            if not _is_object(value):
                damaged += 1
                continue
            kept[name], inside = without_damage(value, kind)
            damaged += inside
        elif _CHECKS[kind](value):
            kept[name] = value
        else:
            damaged += 1
    return kept, damaged


def document_of(name: str, document: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """`without_damage` of one of a folder's documents, by its name."""
    kept, damaged = without_damage(document, _DOCUMENTS.get(name, _ANY_ROW))
    plan = kept.get("plan") if name == schema.RUN else None
    if isinstance(plan, dict) and plan.get("stages"):
        stages = [without_damage(stage, _PLAN_STAGE) for stage in plan["stages"]]
        plan["stages"] = [stage for stage, _ in stages]
        damaged += sum(inside for _, inside in stages)
    return kept, damaged


def too_deep(text: bytes, value: object) -> bool:
    """True if `value`, parsed from `text`, is nested deeper than `DEEPEST`."""
    if text.count(b"{") + text.count(b"[") <= DEEPEST:
        # So few brackets cannot be nested deeper; counting them costs almost nothing.
        return False
    level: list[object] = [value]
    for _ in range(DEEPEST):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)  # type: ignore[attr-defined]
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True


def stage_number(text: str) -> int | None:
    """The number of a stage in a file's or a field's name; None if it is none."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(STAGES))):
        return None
    number = int(text)
    return number if is_stage(number) else None
