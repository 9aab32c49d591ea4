"""Standard output and standard error, as all commands use them.

They may have no reader any more, a slow reader, no space on the disk, or a charset with few
characters. All of that is handled here: the streams of `standard_streams` replace `sys.stdout` and
`sys.stderr`, so that typer, rich, tracebacks and our own code print to them.

- A command that only reads ends if its standard output has no reader (`ReaderGone`) or cannot be
  written (`OutputLost`).
- A command that changes something calls `keep_going` first. From then on output that cannot be
  written is dropped, and a thread does the writing, so that a slow reader blocks nothing.
- Standard error never makes a command end or fail.
- A character that the charset lacks is replaced by a similar one, or `?`.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import io
import os
import select
import sys
import threading
from collections import deque
from types import TracebackType
from typing import Any, Final, Self, TextIO, cast

from loadgenctl.cli.writer_thread import Pump
from loadgenctl.errors import LoadgenError, OutputLost, ReaderGone

PATIENCE: Final = 30.0
"""Seconds that a command waits at its end for a reader of standard output that takes nothing."""
_SHORT_PATIENCE: Final = 2.0
"""The same for standard error, whose text is also in the log."""
_MOST_PROGRESS: Final = 256 * 1024
"""Bytes to keep for a slow reader of standard error; more are dropped."""
_BUFFER: Final = 8192
"""Characters to collect for one system call, where the output is not a terminal."""
_EARLY: Final = 200
"""Pieces of text on standard error to keep until there is a log."""
_NO_READER: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN})
_SIMILAR: Final = {
    "·": "-",
    "−": "-",  # noqa: RUF001
    "–": "-",  # noqa: RUF001
    "—": "-",
    "…": "...",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "±": "+-",
    "×": "x",  # noqa: RUF001
    "✅": "[ok]",
    "❌": "[failed]",
    "¦": "|",
}
_SUBSTITUTE: Final = "loadgenctl-substitute"


def _substitute(error: UnicodeError) -> tuple[str, int]:
    """The handler of `codecs` for characters that a charset lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIMILAR.get(char, "?") for char in lacking), error.end


class Stream(io.TextIOBase):
    """A text stream on a file descriptor that stays open; threads may share it."""

    def __init__(
        self, descriptor: int, encoding: str, *, result: bool, patience: float = PATIENCE
    ) -> None:
        """`result`: True for standard output, which has the result of a command.

        `patience`: seconds that `finish` waits for a reader that takes nothing.
        """
        super().__init__()
        codecs.register_error(_SUBSTITUTE, _substitute)
        self._encoding = encoding
        self._encoder = codecs.getincrementalencoder(encoding)(_SUBSTITUTE)
        self._descriptor = descriptor
        self._terminal = os.isatty(descriptor)
        self._result = result
        self._patience = patience
        self._by_line = self._terminal or not result
        self._held: list[str] = []
        self._count = 0
        self._lock = threading.RLock()
        self._early: deque[str] | None = None if result else deque(maxlen=_EARLY)
        self._pump: Pump | None = None
        self._lossy = not result
        self.neighbour: Stream | None = None
        """The other stream: if both are the same terminal, the order of their output is kept."""
        self.written = False
        """Whether anything was written at all."""
        self.trouble: OSError | None = None
        """Why nothing more can be written."""
        self.reported = False
        """Whether `trouble` was raised, and therefore is reported elsewhere."""
        self.code_stays = False
        """Whether lost output leaves the exit code unchanged; see `keep_going`."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The charset's name."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """The handler for characters that the charset lacks."""
        return _SUBSTITUTE

    @property
    def reader_gone(self) -> bool:
        """Whether nothing more can be written because there is no reader."""
        return self.trouble is not None and (
            self.trouble.errno in _NO_READER
            # A terminal that was closed.
            or (self._terminal and self.trouble.errno == errno.EIO)
        )

    def fileno(self) -> int:
        """See `io.IOBase`."""
        return self._descriptor

    def isatty(self) -> bool:
        """See `io.IOBase`; still True for a terminal that was closed."""
        return self._terminal

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def close(self) -> None:
        """Nothing: the descriptor belongs to the process."""

    def write(self, text: str) -> int:
        """Raises `ReaderGone` and `OutputLost`, on standard output and before `keep_going`."""
        if not isinstance(text, str):
            raise TypeError(f"a text stream takes str, not {type(text).__name__}")
        with self._lock:
            self.written = self.written or bool(text)
            if self._early is not None:
                self._early.append(text)
            self._held.append(text)
            self._count += len(text)
            if self._count >= _BUFFER or (self._by_line and "\n" in text):
                self.flush()
        return len(text)

    def flush(self) -> None:
        """See `write`."""
        with self._lock:
            held, self._held, self._count = self._held, [], 0
            data = self._encoder.encode("".join(held))
            if self.trouble is not None:
                return
            if not data:
                self._look_for_reader()
                return
            if self.neighbour is not None:
                self.neighbour.settle()
            if self._pump is not None:
                self._pump.put(data)
                return
            try:
                self._put_out(data)
            except OSError as error:
                self._lost(error)
                if not self._lossy:
                    self.reported = True
                    raise self.error() from error

    def take_early(self) -> str:
        """The text written so far; empty on a second call."""
        with self._lock:
            early, self._early = self._early, None
        return "".join(early or ())

    def settle(self) -> None:
        """Wait briefly until the output is written."""
        if self._pump is not None:
            self._pump.settle()

    def keep_going(self, *, code_stays: bool) -> None:
        """From now on no write fails or blocks; see the function of that name."""
        self._lossy = True
        self.code_stays = code_stays
        self.flush()
        if self._pump is None and self.trouble is None:
            # A summary is kept in full; progress is dropped if its reader is slow.
            most = None if self._result else _MOST_PROGRESS
            self._pump = Pump(self._put_out, self._lost, most=most)

    def finish(self) -> None:
        """Write the rest, as long as the reader takes it."""
        self._lossy = True
        self.flush()
        if self._pump is not None:
            self._pump.drain(self._patience)

    def error(self) -> LoadgenError:
        """`trouble` as an error."""
        if self.reader_gone:
            return ReaderGone("standard output has no reader")
        reason = "" if self.trouble is None else f": {self.trouble.strerror}"
        return OutputLost(f"standard output cannot be written{reason}")

    def _look_for_reader(self) -> None:
        """Raise `ReaderGone`, also in a command that follows something and prints nothing now."""
        if self._lossy:
            return
        look = select.poll()
        look.register(self._descriptor, 0)
        if any(events & select.POLLERR for _, events in look.poll(0)):
            self._lost(BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)))
            raise self.error()

    def _lost(self, error: OSError) -> None:
        self.trouble = error

    def _put_out(self, data: bytes) -> None:
        """Write all, waiting for the reader. Raises `OSError`."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Another program that shares the terminal or pipe has made it non-blocking.
                select.select([], [self._descriptor], [])


def standard_streams() -> Streams:
    """The streams of this process; closed descriptors are opened on /dev/null."""
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    return Streams(
        Stream(1, _encoding(sys.stdout), result=True),
        Stream(2, _encoding(sys.stderr), result=False, patience=_SHORT_PATIENCE),
    )


class Streams:
    """Standard output and error; a context in which the process uses them."""

    def __init__(self, out: Stream, err: Stream) -> None:
        """See `standard_streams`."""
        self.out, self.err = out, err
        out.neighbour, err.neighbour = err, out
        self._before: tuple[TextIO, TextIO] | None = None

    def __enter__(self) -> Self:
        """Replace `sys.stdout` and `sys.stderr`."""
        self._before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = cast("TextIO", self.out), cast("TextIO", self.err)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the rest. The streams stay in place: Python prints to them while it ends."""
        # A Ctrl-C here only ends the wait for a slow reader: the exit code must not change.
        with contextlib.suppress(KeyboardInterrupt):
            self.out.finish()
            self.err.finish()


def keep_going(*, code_stays: bool = False) -> None:
    """Call this before a command changes something: lost or slow output must not stop the command.

    `code_stays`: the exit code describes that work alone. Otherwise a command that succeeded, but
    whose standard output could not be written, ends with the exit code of `OutputLost`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Stream):
            stream.keep_going(code_stays=code_stays)


def finished(code: int) -> int:
    """Write all output of a command that ended with `code`; return the final exit code.

    Output that could not be written is reported on standard error.
    """
    out: Any = sys.stdout
    if not isinstance(out, Stream):
        return code
    out.finish()
    if out.trouble is None or out.reader_gone or out.reported:
        return code
    error = out.error()
    sys.stderr.write(f"warning: {error.message}; the output is not complete\n")
    return code if code or out.code_stays else error.exit_code


def said_so_far() -> str:
    """The text written to standard error before there was a log; empty on a second call."""
    return sys.stderr.take_early() if isinstance(sys.stderr, Stream) else ""


def printed() -> bool:
    """Whether anything was printed to standard output."""
    return bool(getattr(sys.stdout, "written", False))


def _open_if_closed(descriptor: int) -> None:
    """Otherwise the next opened file would get the descriptor, and the output with it."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)


def _encoding(stream: TextIO | None) -> str:
    return (stream.encoding if stream is not None else None) or "utf-8"
