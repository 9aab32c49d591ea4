"""How a run stands: the content of status.json and who owns the folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from loadgenctl.records.schema import Outcome

_OUTCOMES = frozenset(get_args(Outcome))


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that writes a folder, named so that no other process can be taken for it."""

    pid: int
    start_ticks: int | None
    """Start of the process in clock ticks since boot; None if unknown."""
    boot: str | None
    """The kernel's boot id; a pid of another boot, or of another machine, is not this one."""

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), start_ticks(os.getpid()), _boot_id())

    def alive(self) -> bool:
        """True if that very process still runs on this machine."""
        if self.boot is not None and self.boot != _boot_id():
            return False
        found = start_ticks(self.pid)
        return found is not None and (self.start_ticks is None or found == self.start_ticks)


@dataclass(frozen=True, slots=True)
class Status:
    """status.json. Times are epoch seconds."""

    outcome: Outcome = "running"
    step: str | None = None
    """What is (or was last) being done, in words."""
    stage: int | None = None
    role: str | None = None
    """The role that failed."""
    reason: str | None = None
    """Why the run ended otherwise than it should have."""
    hint: str | None = None
    exit_code: int | None = None
    """loadgenctl's own exit code; None while running."""
    role_exit_code: int | None = None
    oom_killed: bool = False
    """The failed role was killed because memory ran out."""
    last_lines: tuple[str, ...] = ()
    """The end of the failed role's log."""
    started_at: float | None = None
    updated_at: float | None = None
    finished_at: float | None = None
    owner: Owner | None = None

    @property
    def finished(self) -> bool:
        """True once the run has ended, well or not."""
        return self.outcome != "running"

    def as_found(self) -> Status:
        """This status seen from outside: `running` whose owner is gone was `killed`."""
        if self.finished or self.owner is None or self.owner.alive():
            return self
        return replace(self, outcome="killed", reason=self.reason or "its process is gone")

    def to_json(self) -> dict[str, Any]:
        """The document, in the order a person reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Status:
        """Read back; unknown keys are left out, an unknown outcome becomes `error`."""
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        if known.get("outcome") not in _OUTCOMES:
            known["reason"] = f"unknown outcome {known.get('outcome')!r}"
            known["outcome"] = "error"
        owner = known.get("owner")
        known["owner"] = (
            Owner(owner["pid"], owner.get("start_ticks"), owner.get("boot"))
            if isinstance(owner, Mapping) and isinstance(owner.get("pid"), int)
            else None
        )
        known["last_lines"] = tuple(known.get("last_lines") or ())
        return cls(**known)


def start_ticks(pid: int) -> int | None:
    """Start of a process in clock ticks since boot; None when it is not there."""
    try:
        content = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, so count from its end.
    fields = content[content.rfind(b")") + 2 :].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
