"""The vats and their worker processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Protocol

from .config import Vats

LOCAL = frozenset({"comms", "vattp"})
"""Vats that run inside the kernel's process, as in the real SDK."""
CLOSE_GRACE = 5.0
"""Time limit, in seconds, for a worker to end."""


class VatDiedError(Exception):
    """A worker process ended while the kernel needed it."""


@dataclass(frozen=True)
class Vat:
    """One vat."""

    id: str
    name: str | None
    """None for the vats of contracts."""

    @property
    def dynamic(self) -> bool:
        """True for a vat that the bootstrap created."""
        return self.name is None

    @property
    def has_worker(self) -> bool:
        """False for the vats inside the kernel."""
        return self.name not in LOCAL

    @property
    def label(self) -> str:
        """The vat in the worker's command line; the real SDK also prints a missing name like
        this.
        """
        return f"{self.id}:{self.name or 'undefined'}"


def roster(vats: Vats) -> tuple[list[Vat], list[Vat]]:
    """(static vats in the order they start, contract vats)."""
    static = [Vat(f"v{number}", name) for number, name in enumerate(vats.static, 1)]
    static.sort(key=lambda vat: str(vat.name).lower())
    first = len(vats.static) + 1
    return static, [Vat(f"v{first + index}", None) for index in range(vats.dynamic)]


class VatWorker(Protocol):
    """The interface of a vat's process for the kernel."""

    def wait_ready(self) -> None:
        """Block until it accepts deliveries. Raises `VatDiedError`."""

    def deliver(self, units: int, grow: int) -> None:
        """Have it do `units` of work and keep `grow` more bytes. Raises `VatDiedError`."""

    def release(self) -> None:
        """Request its end; does not wait."""

    def close(self) -> None:
        """Wait for its end; idempotent."""


class Worker:
    """A vat's process, shown as `xsnap vID:name` by `ps`."""

    def __init__(self, vat: Vat, run_dir: Path) -> None:
        """Start it; `run_dir` is a temporary folder below the chain's home."""
        tree = Path(__file__).resolve().parent.parent
        self.vat = vat
        # Python takes its script's name from the command line, where the real worker has the vat's
        # name: so the script gets that name, by a link that is removed once the worker has read it.
        self._link = run_dir / vat.label
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(tree / "bin" / "sim-vat")
        environ = dict(os.environ)
        # argv[0] is not Python's own path, so Python needs its location.
        environ["PYTHONHOME"] = f"{sys.base_prefix}:{sys.base_exec_prefix}"
        self._process: Optional[subprocess.Popen[bytes]] = subprocess.Popen(  # noqa: S603
            # The real SDK only meters contract vats.
            [str(tree / "bin" / "xsnap"), vat.label, *(("-l", "10000000") if vat.dynamic else ())],
            executable=sys.executable,
            cwd=run_dir,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=-1,
        )

    def wait_ready(self) -> None:
        """Block until it accepts deliveries. Raises `VatDiedError`."""
        try:
            self._answer()
        finally:
            self._link.unlink(missing_ok=True)

    def deliver(self, units: int, grow: int) -> None:
        """Have it do `units` of work and keep `grow` more bytes. Raises `VatDiedError`."""
        process = self._process
        if process is None or process.stdin is None:
            raise VatDiedError(f"{self.vat.label} is not running")
        try:
            process.stdin.write(b"d %d %d\n" % (units, grow))
            process.stdin.flush()
        except OSError as error:
            raise VatDiedError(f"{self.vat.label} exited: {error}") from error
        self._answer()

    def release(self) -> None:
        """Close its input, which ends it; does not wait."""
        self._link.unlink(missing_ok=True)
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it ended with unread input
                self._process.stdin.close()

    def close(self) -> None:
        """End and reap it; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(timeout=CLOSE_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _answer(self) -> bytes:
        process = self._process
        answer = (
            process.stdout.readline() if process is not None and process.stdout is not None else b""
        )
        if not answer.endswith(b"\n"):
            code = process.poll() if process is not None else None
            raise VatDiedError(f"{self.vat.label} exited (code {code})")
        return answer
