"""Saving a role's storage: a copy while the role is stopped, then packed in the background."""

from __future__ import annotations

import sys
from pathlib import Path

from loadgenctl.errors import OutputFolderError
from loadgenctl.process import Child, Runner

PACK_TIMEOUT = 1800.0


class StorageSaver:
    """Packs copies at the lowest priority while the run goes on; `finish` waits for all."""

    def __init__(self, runner: Runner) -> None:
        """`runner` starts the programs."""
        self._runner = runner
        self._packing: list[tuple[Path, Child]] = []

    def save(self, folder: Path, target: Path, copy: Path) -> None:
        """Copy `folder` (its role is stopped) to `copy`; begin to pack that into `target`.

        `copy` lies where no role can write: with a link in its place the copy would go elsewhere.
        """
        done = self._runner.run(["cp", "-aT", "--reflink=auto", "--", str(folder), str(copy)])
        if done.exit_code != 0:
            raise OutputFolderError(
                f"cannot copy {folder}", hint="is there space left?", detail=done.last_lines()
            )
        argv = [sys.executable, "-m", "loadgenctl.records.archive", str(copy), str(target)]
        self._packing.append((target, self._runner.start(argv)))

    @property
    def pending(self) -> int:
        """How many are still being packed."""
        return sum(child.running for _, child in self._packing)

    def finish(self) -> list[str]:
        """Wait for all; what failed, in words."""
        problems = []
        for target, child in self._packing:
            trouble = child.finish(PACK_TIMEOUT)
            if trouble is not None:
                problems.append(f"{target.name}: {trouble}")
        self._packing.clear()
        return problems

    def abandon(self) -> None:
        """Stop whatever still runs."""
        for _, child in self._packing:
            child.end()
        self._packing.clear()
