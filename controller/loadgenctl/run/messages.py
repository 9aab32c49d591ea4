"""The file by which a run and the SDK's acceptance tests talk (a3p-integration, z:acceptance).

The tests wait for `ready`, test the chain that this run's node follows, and write `stop`. Both
sides write the file in place: it is mounted into the tests' container. The script that started the
run adds its exit code.
"""

from __future__ import annotations

from loadgenctl.errors import UsageError
from loadgenctl.model import RunPlan
from loadgenctl.plainfile import open_plain, write_plain

READY = b"ready"
STOP = b"stop"
_LIMIT = 4096


def require_place(plan: RunPlan) -> None:
    """Raise `UsageError` for a file that cannot be made."""
    if plan.message_file is not None and not plan.message_file.parent.is_dir():
        raise UsageError(
            f"--acceptance-integration-message-file: there is no folder {plan.message_file.parent}"
        )


def tell_ready(plan: RunPlan, stage: int) -> None:
    """Say that the node has caught up, in the stage before the last: the node has been restarted by
    then, and is once more while the tests run. In a single stage, in that. Raises `OSError`.
    """
    if plan.message_file is None or stage != max(0, len(plan.stages) - 2):
        return
    with write_plain(plan.message_file) as stream:
        stream.write(READY)


def asked_to_stop(plan: RunPlan, stage: int) -> bool:
    """Whether the tests have ended; only the last stage waits for that. Raises `OSError`."""
    if plan.message_file is None or stage != len(plan.stages) - 1:
        return False
    with open_plain(plan.message_file) as stream:
        return stream.read(_LIMIT).strip() == STOP
