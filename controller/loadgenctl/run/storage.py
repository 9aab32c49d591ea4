"""Saving a role's storage: a copy while the role is stopped, then packed in the background."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import OutputFolderLost
from loadgenctl.process import Child, Runner
from loadgenctl.records.archive import partial_of

PACK_TIMEOUT = 1800.0


@dataclass(frozen=True, slots=True)
class _Packing:
    """One archive on its way."""

    target: Path
    copy: Path
    child: Child

    def clear_away(self) -> None:
        """Remove what is of no use without the rest: a program that is killed leaves it there."""
        partial_of(self.target).unlink(missing_ok=True)
        shutil.rmtree(self.copy, ignore_errors=True)


class StorageSaver:
    """Packs copies at the lowest priority while the run goes on; `finish` waits for all."""

    def __init__(self, runner: Runner) -> None:
        """`runner` starts the programs."""
        self._runner = runner
        self._packing: list[_Packing] = []

    def save(self, folder: Path, target: Path, copy: Path) -> None:
        """Copy `folder` (its role is stopped) to `copy`; begin to pack that into `target`.

        `copy` lies where no role can write: with a link in its place the copy would go elsewhere.
        """
        done = self._runner.run(["cp", "-aT", "--reflink=auto", "--", str(folder), str(copy)])
        if done.exit_code != 0:
            raise OutputFolderLost(
                f"cannot copy {folder}", hint="is there space left?", detail=done.last_lines()
            )
        argv = [sys.executable, "-m", "loadgenctl.records.archive", str(copy), str(target)]
        self._packing.append(_Packing(target, copy, self._runner.start(argv)))

    @property
    def pending(self) -> int:
        """How many are still being packed."""
        return sum(packing.child.running for packing in self._packing)

    def finish(self) -> list[str]:
        """Wait for all, each up to its deadline; what failed, in words.

        What waiting is cut short by leaves the rest to `abandon`.
        """
        problems = []
        while self._packing:
            packing = self._packing[0]
            trouble = packing.child.finish(PACK_TIMEOUT)
            if trouble is not None:
                problems.append(f"{packing.target.name}: {trouble}")
                packing.clear_away()
            self._packing.remove(packing)
        return problems

    def abandon(self) -> list[str]:
        """Stop whatever still runs; the names of the archives that are not there for that."""
        ended = [packing for packing in self._packing if packing.child.running]
        for packing in self._packing:
            packing.child.end()
            packing.clear_away()
        self._packing.clear()
        return [packing.target.name for packing in ended]
