"""Whether a run ended as it had to, and whether its folder can be read."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.soak.cases import PASSES, Expectation

from loadgenctl.cli.regen import regenerate_folders
from loadgenctl.cli.results import stats_command
from loadgenctl.errors import LoadgenError


def judged(
    expected: Expectation, exit_code: int, status: Mapping[str, Any], *, acted: bool
) -> list[str]:
    """What is not as expected; pure. A run that no action reached has to pass."""
    wanted = expected if acted else PASSES
    wrong = []
    if exit_code != wanted.exit_code:
        wrong.append(f"exit code {exit_code} instead of {wanted.exit_code}")
    outcome, reason = status.get("outcome"), str(status.get("reason") or "")
    if outcome not in wanted.outcomes:
        wrong.append(f"outcome {outcome} instead of {' or '.join(wanted.outcomes)}")
    if wanted.role is not None and status.get("role") != wanted.role:
        wrong.append(f"role {status.get('role')} instead of {wanted.role}")
    if wanted.says not in reason:
        wrong.append(f"the reason does not say {wanted.says!r}")
    if wrong and reason:
        wrong.append(f"its reason: {reason}")
    return wrong


def unreadable(folder: Path) -> list[str]:
    """What `stats` and `regen` cannot make of a folder; nothing if both read it."""
    wrong = []
    for name, read in _READERS.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                read(folder)
        except LoadgenError as error:
            wrong.append(f"{name}: {error.message}")
        except Exception as error:  # noqa: BLE001 - a defect is what is looked for
            wrong.append(f"{name}: internal error: {error!r}")
    return wrong


def _stats(folder: Path) -> None:
    stats_command([folder])


def _regen(folder: Path) -> None:
    regenerate_folders([folder], as_json=True)


_READERS: Mapping[str, Callable[[Path], None]] = {"stats": _stats, "regen": _regen}
