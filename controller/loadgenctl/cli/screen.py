"""A terminal on which a changing picture is drawn and keys are read, and which is given back."""

from __future__ import annotations

import os
import select
import signal
import termios
import time
import tty
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live

from loadgenctl.clock import Clock

QUIT: Final = frozenset(b"qQ\x03\x04")
"""Keys that end it; Ctrl-C and Ctrl-D where the terminal passes them on."""


class Screen:
    """Draws on a terminal, in place; a context, because a terminal has to be given back.

    SIGTERM ends it as Ctrl-C does, so that the terminal is given back then, too.
    """

    def __init__(self, console: Console, *, alternate: bool = False) -> None:
        """The console must be a terminal. `alternate`: use all of it and restore it at the end."""
        self.console = console
        self._live = Live(console=console, screen=alternate, auto_refresh=False)
        self._before: object = None

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        self._live.stop()
        signal.signal(signal.SIGTERM, self._before)  # type: ignore[arg-type]

    def draw(self, what: RenderableType) -> None:
        """Replace the picture."""
        self._live.update(what, refresh=True)


class Keys(AbstractContextManager["Keys"], Protocol):
    """A person at the keyboard; a context, because the terminal has to be given back."""

    @property
    def help(self) -> str:
        """What a person can press."""
        ...

    def quit_within(self, seconds: float) -> bool:
        """Wait for so many seconds; return True at once if a person presses a key of `QUIT`."""
        ...


class NoKeys:
    """No key but Ctrl-C can be pressed."""

    help = "Ctrl-C ends this"

    def __init__(self, clock: Clock) -> None:
        """Time passes on `clock`."""
        self._clock = clock

    def __enter__(self) -> Self:
        """See `Keys`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """See `Keys`."""

    def quit_within(self, seconds: float) -> bool:
        """See `Keys.quit_within`."""
        self._clock.sleep(seconds)
        return False


class TerminalKeys:
    """Reads single keys of a terminal, unseen. Ctrl-Z does nothing: it would keep the screen."""

    help = "q ends this"

    def __init__(self, descriptor: int) -> None:
        """`descriptor` must be a terminal."""
        self._descriptor = descriptor
        self._before: list[object] = []

    def __enter__(self) -> Self:
        """See `Keys`."""
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        mode = termios.tcgetattr(self._descriptor)
        mode[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """See `Keys`; keys that were not read are not passed to the shell."""
        # A terminal that was closed cannot be given back.
        with suppress(termios.error):
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._before)  # type: ignore[arg-type]

    def quit_within(self, seconds: float) -> bool:
        """See `Keys.quit_within`; also True if the terminal was closed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._descriptor], [], [], left)
            if ready:
                try:
                    pressed = os.read(self._descriptor, 64)
                except OSError:
                    return True
                if not pressed or QUIT & set(pressed):
                    return True
        return False
