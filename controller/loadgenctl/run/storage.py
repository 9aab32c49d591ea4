"""Saving a role's storage: a copy while the role is stopped, then packed in the background."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import OutputFolderError
from loadgenctl.process import Child, Runner
from loadgenctl.records import schema
from loadgenctl.records.raw import COPIES, PARTIAL

PACK_TIMEOUT = 1800.0
COPY = ".copy"
"""What a copy's name has behind that of the file it is packed into."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A role's storage at the end of a stage, as the results folder may hold it."""

    archive: Path
    copy: Path
    """Not packed yet: the run was ended or killed before."""

    @property
    def there(self) -> bool:
        """True if it is there in one form or the other, whole."""
        return self.archive.exists() or self.copy.exists()


def saved(results: Path, role: str, stage: int) -> Saved:
    """Where the storage of `chain` or `client` at a stage's end is, if it is there."""
    archive = results / schema.storage_name(role, stage)
    return Saved(archive, results / COPIES / f"{archive.name}{COPY}")


def unpacked(results: Path) -> list[Saved]:
    """What was saved and still waits to be packed, or is just being packed."""
    copies = sorted((results / COPIES).glob(f"*{COPY}"))
    return [Saved(results / copy.name.removesuffix(COPY), copy) for copy in copies]


def clear(results: Path, *, keep: bool) -> None:
    """Remove what packing left: all of it, or with `keep` all but copies that are not packed."""
    for partial in results.glob(f"*-storage-stage-*{PARTIAL}"):
        partial.unlink(missing_ok=True)
    if not keep or all(each.archive.exists() for each in unpacked(results)):
        shutil.rmtree(results / COPIES, ignore_errors=True)


def copy_folder(runner: Runner, folder: Path, copy: Path) -> None:
    """Copy all of a folder, owners and times too. Raises `OutputFolderError`."""
    done = runner.run(["cp", "-aT", "--reflink=auto", "--", str(folder), str(copy)])
    if done.exit_code != 0:
        raise OutputFolderError(
            f"cannot copy {folder}", hint="is there space left?", detail=done.last_lines()
        )


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
        copy_folder(self._runner, folder, copy)
        self.pack(copy, target)

    def pack(self, copy: Path, target: Path) -> None:
        """Begin to pack a copy that is whole into `target`; the copy goes."""
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
