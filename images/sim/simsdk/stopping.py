"""Faults of a process that received a stop signal."""

from __future__ import annotations

import os
import signal
import threading

from .console import complain
from .faults import FaultBook


def spoil_stop(faults: FaultBook, role: str) -> None:
    """Perform the fault of the role's stop; returns only if there is none."""
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
    # A signal to itself does not kill the first process of a container.
    os._exit(code)
