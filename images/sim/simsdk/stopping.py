"""Faults of a process that was asked to stop."""

from __future__ import annotations

import os
import signal
import threading

from .console import complain
from .faults import FaultBook


def spoil_stop(faults: FaultBook, role: str) -> None:
    """Let a fault of the role's stop happen, if it has one; returns only without one."""
    hang = faults.first("stop-hang", role=role)
    if hang is not None:
        complain(f"sim-{role}: simulated hang while stopping")
        threading.Event().wait(hang["seconds"] or None)
    crash = faults.first("stop-crash", role=role)
    if crash is None:
        return
    complain(f"sim-{role}: simulated crash while stopping")
    code = crash["exit_code"]
    if code > 128:
        signal.signal(code - 128, signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    # The first process of a container does not die of a signal that it sends itself.
    os._exit(code)
