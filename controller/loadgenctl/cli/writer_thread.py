"""Writes in a separate thread, so that a reader that does not read blocks nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

_SETTLE: Final = 0.1
"""Seconds to wait for what was written to another stream before."""
_BLOCK: Final = 16 * 1024
"""Bytes per write: each completed write shows that the reader still reads."""
_LEFT_OUT: Final = b"[some lines are left out here: the reader was too slow]\n"


class Pump:
    """Writes blocks of bytes in order."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        lost: Callable[[OSError], None],
        *,
        most: int | None,
    ) -> None:
        """`write` may block. An `OSError` from it is passed to `lost`, and ends all writing.

        `most`: bytes to keep for a slow reader, beyond which data is dropped; None: no limit.
        """
        self._write, self._lost, self._most = write, lost, most
        self._blocks: deque[bytes] = deque()
        self._waiting = 0
        """Bytes, including those being written now."""
        self._left_out = False
        self._slow = False
        self._over = False
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def put(self, data: bytes) -> None:
        """Queue the data, or drop it if too much is queued already."""
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
                # A daemon thread, because a blocked one must not keep the process alive. It ends
                # when all is written, because slogs are read in parallel only without threads.
                self._busy = True
                self._thread = threading.Thread(target=self._run, name="output", daemon=True)
                self._thread.start()

    def settle(self) -> None:
        """Wait briefly until all is written; do not wait again while the reader takes nothing."""
        if self._waiting and not self._slow:
            self._slow = not self.drain(_SETTLE)

    def drain(self, patience: float) -> bool:
        """Wait until all is written or lost; False after `patience` seconds without progress."""
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
