"""Why a step of a build failed, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadgenctl.engines.base import RoleState
from loadgenctl.errors import BuildError, VersionsMissing
from loadgenctl.missing import Missing, missing_versions, settings_for
from loadgenctl.roles.role import signal_of

_SPACE_SIGNS = ("No space left on device", "ENOSPC", "Disk quota exceeded")
_MOST_BYTES = 8 << 20
"""Of a step's output, its end: errors are there."""


def written(log: Path, begun: int) -> str:
    """What a step wrote to the log, which was `begun` bytes long before."""
    with log.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(begun, end - _MOST_BYTES))
        return file.read().decode("utf-8", "replace")


def failure(
    label: str, state: RoleState, tail: Sequence[str], output: str, log: Path
) -> BuildError:
    """The error for a step that ended otherwise than with 0. `tail`: its last lines."""
    text, killed_by = "\n".join(tail), signal_of(state)
    missing = missing_versions(output) if killed_by is None else ()
    if missing:
        return versions_missing(label, missing, log)
    if any(sign in text for sign in _SPACE_SIGNS):
        hint = "the disk is full: make room (`loadgenctl sdk list` shows what is kept), try again"
    elif state.oom_killed:
        hint = "it was killed for lack of memory: build on a machine with more of it"
    elif killed_by is not None:
        hint = f"was the engine restarted? try again; the output so far is in {log}"
    else:
        hint = f"these are its last lines; the whole output is in {log}"
    if killed_by is not None:
        how = f"was killed by {killed_by}"
    else:
        how = "vanished" if state.exit_code is None else f"failed with exit code {state.exit_code}"
    return BuildError(f"the build step {label!r} {how}", hint=hint, detail=text)


def versions_missing(label: str, missing: Sequence[Missing], log: Path) -> VersionsMissing:
    """The error for versions that a step's output names; there is at least one."""
    first, *others = missing
    more = f" and {len(others)} more" if others else ""
    return VersionsMissing(
        f"the build step {label!r} failed: the registries here do not serve {first.words}{more}",
        hint="settings like these in the options file make the build take others"
        f" (docs/site-settings.md); the whole output is in {log}",
        detail=settings_for(missing),
    )
