"""What a run of the service is doing, told while it runs: read from its status.json."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from loadgenctl.clock import Clock
from loadgenctl.daily.attempts import CONSOLE, Execute, Order
from loadgenctl.errors import OutputFolderError
from loadgenctl.records.reader import RunFolder, holds_run

LOOK_EVERY: Final = 2.0
"""Seconds between looks at a run's folder."""
REMIND_EVERY: Final = 15 * 60.0
"""Seconds after which a step that has not changed is reported again."""


@dataclass(slots=True)
class Watch:
    """Looks at one run's folder, and tells each new step, and a long one again."""

    order: Order
    clock: Clock
    say: Callable[[str], None]
    _began: float = field(init=False)
    _told: str = field(default="", init=False)
    _told_at: float = field(init=False)

    def __post_init__(self) -> None:
        """The run begins now."""
        self._began = self._told_at = self.clock.monotonic()

    def look(self) -> None:
        """Tell what is new. A folder that cannot be read now tells nothing."""
        try:
            step = self._step()
        except (OutputFolderError, OSError):
            return
        now = self.clock.monotonic()
        if step is None or (step == self._told and now - self._told_at < REMIND_EVERY):
            return
        since = f" (for {(now - self._began) / 60:.0f} min)" if step == self._told else ""
        self._told, self._told_at = step, now
        self.say(f"  {step}{since}")

    def _step(self) -> str | None:
        if not holds_run(self.order.folder):
            return None
        records = RunFolder(self.order.folder)
        status = records.status
        if status is None or status.finished or not status.step:
            return None
        plan = records.run.get("plan")
        stages = plan.get("stages") if isinstance(plan, dict) else None
        if status.step.startswith("stage ") and isinstance(stages, list):
            return f"{status.step} (the last is {len(stages) - 1})"
        return status.step


@dataclass(frozen=True, slots=True)
class Watched:
    """Implements `Execute` by another one, and tells meanwhile what the run is doing."""

    execute: Execute
    clock: Clock
    say: Callable[[str], None]
    every: float = LOOK_EVERY

    def __call__(self, order: Order) -> int:
        """See `Execute`."""
        self.say(f"  its output is in {CONSOLE} there")
        watch, ended = Watch(order, self.clock, self.say), threading.Event()

        def follow() -> None:
            while not ended.wait(self.every):
                watch.look()

        thread = threading.Thread(target=follow, name="watch", daemon=True)
        thread.start()
        try:
            return self.execute(order)
        finally:
            ended.set()
            thread.join()
