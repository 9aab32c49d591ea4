"""What may stand in a results folder's records: the kind of every field that something reads.

A folder may come from anywhere, and what it holds be of another type, out of all bounds, or nested
without end. It is looked at here, where it is read, so that nothing behind has to ask again. A row
with a field of a wrong kind is damage as a whole; of a document only the field is left out. null is
a value that is not known; fields that are not listed may be anything, numbers within `MOST`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from loadgenctl.records import schema

Kind = Literal[
    "text", "whole", "number", "time", "stage", "truth", "object", "texts", "objects", "words",
    "sizes", "vats", "times", "wholes",
]  # fmt: skip

DEEPEST: Final = 100
"""Levels of nesting; what is read has to be written again, which ends at some 250."""
MOST: Final = 1e20
"""No count or size is larger: an engine tells a memory without a limit as nearly 2**63 bytes."""
LATEST: Final = 1e12
"""No clock shows more seconds than this."""
WHOLE: Final = 1 << 53
"""Whole numbers are exact up to this one wherever JSON is read."""
STAGES: Final = 1_000_000
"""No run has as many stages."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a row or a document."""

    fields: Mapping[str, Kind | Shape]
    """By name; a shape stands for an object inside."""
    required: tuple[str, ...] = ()
    """A row without one of them is damage, too."""
    sparse: bool = False
    """A field that is null is left out: readers look only for what is there."""
    checks: Mapping[str, Callable[[object], bool]] = field(init=False)
    """What each field is asked, so that rows, of which there are many, are looked at quickly."""

    def __post_init__(self) -> None:
        """Find the checks."""
        checks = {
            name: _is_object if isinstance(kind, Shape) else _CHECKS[kind]
            for name, kind in self.fields.items()
        }
        object.__setattr__(self, "checks", checks)


def is_number(value: object) -> bool:
    """True for a number that can be reckoned with."""
    return (type(value) is int or type(value) is float) and -MOST < value < MOST


def is_time(value: object) -> bool:
    """True for a number of seconds that a clock can show."""
    return (type(value) is int or type(value) is float) and -LATEST < value < LATEST


def is_whole(value: object) -> bool:
    """True for a whole number that is exact wherever JSON is read."""
    return type(value) is int and -WHOLE < value < WHOLE


def is_stage(value: object) -> bool:
    """True for the number of a stage, or -1 for outside of any."""
    return type(value) is int and -1 <= value < STAGES


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_truth(value: object) -> bool:
    return type(value) is bool


def _is_object(value: object) -> bool:
    return type(value) is dict


def _are_texts(value: object) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _are_objects(value: object) -> bool:
    return type(value) is list and all(type(item) is dict for item in value)


def _are_words(value: object) -> bool:
    return type(value) is dict and all(type(item) is str for item in value.values())


def _are_sizes(value: object) -> bool:
    return type(value) is dict and all(is_number(item) for item in value.values())


def _are_times(value: object) -> bool:
    """A list of times, null where one is not known."""
    return type(value) is list and all(item is None or is_time(item) for item in value)


def _are_wholes(value: object) -> bool:
    """The same of whole numbers."""
    return type(value) is list and all(item is None or is_whole(item) for item in value)


def _are_vats(value: object) -> bool:
    """What the agent tells of vats: each has its id, and a name where that is known."""
    return type(value) is list and all(
        type(vat) is dict and type(vat.get("vat")) is str and type(vat.get("name") or "") is str
        for vat in value
    )


_CHECKS: Final[Mapping[Kind, Callable[[object], bool]]] = {
    "text": _is_text,
    "whole": is_whole,
    "number": is_number,
    "time": is_time,
    "stage": is_stage,
    "truth": _is_truth,
    "object": _is_object,
    "texts": _are_texts,
    "objects": _are_objects,
    "words": _are_words,
    "sizes": _are_sizes,
    "vats": _are_vats,
    "times": _are_times,
    "wholes": _are_wholes,
}

_PERF: Final = Shape(
    {
        "type": "text",
        "timestamp": "time",
        "stage": "stage",
        "elapsed": "time",
        "timeOrigin": "time",
        "block": "whole",
        "processType": "text",
        "vatID": "text",
        "name": "text",
        "chain": "object",
        "stats": "object",
    },
    required=("type",),
)
_EVENT: Final = Shape(
    {
        "type": "text",
        "time": "time",
        "stage": "stage",
        "task": "text",
        "seq": "whole",
        "intended": "time",
        "duration": "time",
        "latency": "time",
        "success": "truth",
        "count": "whole",
        "state": "text",
        "status": "object",
        "tasks": "texts",
        "unavailable": "words",
    },
    required=("type",),
)
BLOCK: Final = Shape(
    {
        "stage": "stage",
        "blockHeight": "whole",
        "blockTime": "time",
        "liveMode": "truth",
        "beforeShutdown": "truth",
        "beginAt": "time",
        "endStartAt": "time",
        "endFinishAt": "time",
        "slogLines": "whole",
        "deliveries": "whole",
        "firstCrankNum": "whole",
        "lastCrankNum": "whole",
        "computrons": "whole",
        "lag": "number",
        "blockDuration": "number",
        "chainBlockDuration": "number",
        "idleTime": "number",
        "cosmosTime": "number",
        "swingsetTime": "number",
        "processingTime": "number",
        "swingsetPercentage": "number",
        "processingPercentage": "number",
    },
    required=("stage", "blockHeight"),
    sparse=True,
)
CYCLE: Final = Shape(
    {
        "stage": "stage",
        "task": "text",
        "seq": "whole",
        "intended_start": "time",
        "start": "time",
        "finish": "time",
        "duration_s": "time",
        "latency_s": "time",
        "success": "truth",
        "error": "text",
        "inclusion_s": "times",
        "settlement_s": "times",
        "included_height": "wholes",
        "settled_height": "wholes",
        "gas": "wholes",
    },
    required=("stage", "task"),
)
SAMPLE: Final = Shape(
    {
        "time": "time",
        "stage": "stage",
        "source": "text",
        "kind": "text",
        "role": "text",
        "subject": "text",
        "name": "text",
        "reason": "text",
    },
    required=("time", "kind"),
)
_AGENT: Final = Shape(
    {
        "kind": "text",
        "time": "time",
        "request": "text",
        "errors": "words",
        "kernel": "object",
        "totals": "object",
        "agent": "object",
        "vats": "vats",
        "storage": "sizes",
        "storage_total_kib": "number",
    },
    required=("kind",),
)
_ANY_ROW: Final = Shape({})

_ROWS: Final[Mapping[str, Shape]] = {
    schema.PERF: _PERF,
    schema.EVENTS: _EVENT,
    schema.BLOCKS: BLOCK,
    schema.CYCLES: CYCLE,
    schema.SAMPLES: SAMPLE,
}

STATUS: Final = Shape(
    {
        "outcome": "text",
        "step": "text",
        "stage": "stage",
        "role": "text",
        "reason": "text",
        "hint": "text",
        "exit_code": "whole",
        "role_exit_code": "whole",
        "oom_killed": "truth",
        "containers": "objects",
        "last_lines": "texts",
        "started_at": "time",
        "updated_at": "time",
        "finished_at": "time",
        "owner": Shape({"pid": "whole", "start": "text", "host": "text"}),
    }
)
_RUN: Final = Shape(
    {
        "loadgenctl": "text",
        "run_id": "text",
        "started_at": "time",
        "test_data": "object",
        "sdk": Shape(
            {
                "family": "text",
                "simulated": "truth",
                "requested": "text",
                "commit": "text",
                "commit_time": "time",
                "dirty": "truth",
                "deviations": "texts",
                "repository": "text",
            }
        ),
        "plan": Shape({"stages": "objects"}),
        "host": Shape({"hostname": "text", "memory_bytes": "number"}),
        "image": Shape({"tag": "text", "id": "text"}),
        "engine": Shape({"kind": "text", "version": "text"}),
    }
)
STAGE: Final = Shape(
    {
        "index": "stage",
        "duration": "number",
        "cycles": "whole",
        "chain_only": "truth",
        "load": "object",
    }
)
"""One of the stages in a run.json's plan."""

_DOCUMENTS: Final[Mapping[str, Shape]] = {schema.STATUS: STATUS, schema.RUN: _RUN}


def shape_of(file: str) -> Shape:
    """The shape of a file's rows, by its name; of files that nothing is known of, any row."""
    name = file.rpartition("/")[2]
    # Roles write these two, from where the run takes them over.
    if name.startswith("events-stage-"):
        return _EVENT
    if name.startswith("agent-stage-"):
        return _AGENT
    return _ROWS.get(name, _ANY_ROW)


def well_formed(row: dict[str, Any], shape: Shape) -> bool:
    """Look at one row, and take out of it what is null where that is to be left out."""
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
    """A document without the fields of a wrong kind, and how many these were."""
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
        stages = [without_damage(stage, STAGE) for stage in plan["stages"]]
        plan["stages"] = [stage for stage, _ in stages]
        damaged += sum(inside for _, inside in stages)
    return kept, damaged


def too_deep(text: bytes, value: object) -> bool:
    """True if what was read of `text` is nested deeper than `DEEPEST`."""
    if text.count(b"{") + text.count(b"[") <= DEEPEST:
        # So few brackets cannot be nested deeper; counting them costs next to nothing.
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
