"""Saving a role's storage: a copy while the role is stopped, then packed in the background."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loadgenctl.errors import OutputFolderError
from loadgenctl.process import Runner, shut_down

PACK_TIMEOUT = 1800.0


class StorageSaver:
    """Packs copies at the lowest priority while the run goes on; `finish` waits for all."""

    def __init__(self, runner: Runner) -> None:
        """`runner` starts the programs."""
        self._runner = runner
        self._packing: list[tuple[Path, subprocess.Popen[bytes]]] = []

    def save(self, folder: Path, target: Path, scratch: Path) -> None:
        """Copy `folder` (its role is stopped) below `scratch`; begin to pack it into `target`."""
        copy = scratch / f"{target.name}.copy"
        done = self._runner.run(["cp", "-a", "--reflink=auto", "--", str(folder), str(copy)])
        if done.exit_code != 0:
            raise OutputFolderError(
                f"cannot copy {folder}", hint="is there space left?", detail=done.last_lines()
            )
        argv = [sys.executable, "-m", "loadgenctl.records.archive", str(copy), str(target)]
        self._packing.append((target, self._runner.start(argv)))

    @property
    def pending(self) -> int:
        """How many are still being packed."""
        return sum(child.poll() is None for _, child in self._packing)

    def finish(self) -> list[str]:
        """Wait for all; what failed, in words."""
        problems = []
        for target, child in self._packing:
            try:
                _, stderr = child.communicate(timeout=PACK_TIMEOUT)
            except subprocess.TimeoutExpired:
                shut_down(child)
                problems.append(f"{target.name}: not packed within {PACK_TIMEOUT:.0f} s")
                continue
            if child.returncode != 0:
                last = stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
                problems.append(f"{target.name}: {''.join(last)}")
        self._packing.clear()
        return problems

    def abandon(self) -> None:
        """Stop whatever still runs."""
        for _, child in self._packing:
            shut_down(child, grace=1.0)
            if child.stderr is not None:
                child.stderr.close()
        self._packing.clear()
