"""Writing in a thread of its own, so that a reader that does not read holds nothing up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

_SETTLE: Final = 0.1
"""Seconds to wait for what was written to another stream before."""
_BLOCK: Final = 16 * 1024
"""Bytes that are written at once: a reader shows by each that it still reads."""
_LEFT_OUT: Final = b"[some lines are left out here: the reader was too slow]\n"


class Pump:
    """Writes blocks of bytes in their order."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        lost: Callable[[OSError], None],
        *,
        most: int | None,
    ) -> None:
        """`write` may wait; what it raises is given to `lost`, and nothing is written any more.

        `most`: bytes that are kept for a slow reader, and the next ones dropped; None: all.
        """
        self._write, self._lost, self._most = write, lost, most
        self._blocks: deque[bytes] = deque()
        self._waiting = 0
        """Bytes, with those that are just being written."""
        self._left_out = False
        self._slow = False
        self._over = False
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def put(self, data: bytes) -> None:
        """Have it written, or dropped where too much waits already."""
        with self._changed:
            if self._over:
                return
            if self._most is not None and self._waiting + len(data) > self._most:
                self._left_out = True
                return
            if self._left_out:
                self._left_out = False
                data = _LEFT_OUT + data
            self._blocks.extend(data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK))
            self._waiting += len(data)
            self._changed.notify_all()
            if not self._busy:
                # A daemon: one that is held up by its reader does not keep the process. It ends
                # when all is written: with another thread slogs are not read by several processes.
                self._busy = True
                self._thread = threading.Thread(target=self._run, name="output", daemon=True)
                self._thread.start()

    def settle(self) -> None:
        """Wait a moment until all is written; not again while the reader takes nothing."""
        if self._waiting and not self._slow:
            self._slow = not self.drain(_SETTLE)

    def drain(self, patience: float) -> bool:
        """Wait until all is written or lost; False if `patience` seconds pass without progress."""
        with self._changed:
            while self._waiting:
                if not self._changed.wait(patience):
                    return False
        if self._thread is not None:
            self._thread.join()
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._blocks:
                    self._busy = False
                    return
                data = self._blocks.popleft()
            try:
                self._write(data)
            except OSError as error:
                self._lost(error)
                with self._changed:
                    self._over, self._waiting = True, 0
                    self._blocks.clear()
                    self._changed.notify_all()
                return
            with self._changed:
                self._waiting -= len(data)
                self._slow = False
                self._changed.notify_all()
