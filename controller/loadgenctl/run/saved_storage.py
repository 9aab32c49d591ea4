"""Save a role's storage: copy it while the role is stopped, then pack it in the background."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import OutputFolderLost, RunError
from loadgenctl.plainfile import NotPlainError, RolePath
from loadgenctl.process import Child, Runner, own_python
from loadgenctl.records import schema
from loadgenctl.records.archive import partial_of
from loadgenctl.records.raw_parts import COPIES, PARTIAL

PACK_TIMEOUT = 1800.0
COPY = ".copy"
"""Suffix of a copy's name, after the name of the archive that it is packed into."""


@dataclass(frozen=True, slots=True)
class SavedStorage:
    """A role's storage at the end of a stage, as the results folder may hold it."""

    archive: Path
    copy: Path
    """Present if the run ended or was killed before it was packed."""

    @property
    def exists(self) -> bool:
        """True if the archive or a complete copy exists."""
        return self.archive.exists() or self.copy.exists()


def saved(results: Path, role: str, stage: int) -> SavedStorage:
    """Where the storage of `chain` or `client` at a stage's end is, if it was saved."""
    archive = results / schema.storage_name(role, stage)
    return SavedStorage(archive, results / COPIES / f"{archive.name}{COPY}")


def unpacked(results: Path) -> list[SavedStorage]:
    """What was saved and is not packed yet."""
    copies = sorted((results / COPIES).glob(f"*{COPY}"))
    return [SavedStorage(results / copy.name.removesuffix(COPY), copy) for copy in copies]


def clear(results: Path, *, keep: bool) -> None:
    """Remove what packing left; with `keep`, all but copies that are not packed."""
    for partial in results.glob(f"*-storage-stage-*{PARTIAL}"):
        partial.unlink(missing_ok=True)
    if not keep or all(each.archive.exists() for each in unpacked(results)):
        shutil.rmtree(results / COPIES, ignore_errors=True)


def copy_folder(runner: Runner, folder: Path | RolePath, copy: Path) -> None:
    """Copy a folder with owners and times; links in it are copied as links.

    Raises `OutputFolderLost`; `NotPlainError` and `RunError` for a role's folder that is reached
    through a link, or is missing.
    """
    program = ["cp", "-aT", "--reflink=auto", "--"]
    if isinstance(folder, RolePath):
        try:
            with folder.opened_folder() as descriptor:
                # By its descriptor: a role may have replaced the name by the time cp opens it.
                here = Path(f"/proc/self/fd/{descriptor}")
                done = runner.run([*program, ".", str(copy.absolute())], cwd=here)
        except NotPlainError:
            raise
        except OSError as error:
            raise RunError(
                f"cannot save {folder}: {error.strerror}", step="save storage"
            ) from error
    else:
        done = runner.run([*program, str(folder), str(copy)])
    if done.exit_code != 0:
        raise OutputFolderLost(
            f"cannot copy {folder}", hint="is there space left?", detail=done.last_lines()
        )


@dataclass(frozen=True, slots=True)
class _Packing:
    """An archive that is being made."""

    target: Path
    child: Child

    def clear_away(self) -> None:
        """Remove the incomplete archive of a program that was killed; the copy remains."""
        partial_of(self.target).unlink(missing_ok=True)


class StorageSaver:
    """Packs copies at the lowest priority while the run continues; `finish` waits for all."""

    def __init__(self, runner: Runner) -> None:
        """`runner` starts the programs."""
        self._runner = runner
        self._packing: list[_Packing] = []

    def save(self, folder: Path | RolePath, target: Path, copy: Path) -> None:
        """Copy `folder` (its role is stopped) to `copy`; start to pack that into `target`.

        No role can write to the folder of `copy`: a link there would lead the copy elsewhere.
        """
        copy_folder(self._runner, folder, copy)
        self.pack(copy, target)

    def pack(self, copy: Path, target: Path) -> None:
        """Start to pack a complete copy into `target`; the copy is removed at the end."""
        argv = own_python("loadgenctl.records.archive", str(copy), str(target))
        self._packing.append(_Packing(target, self._runner.start(argv)))

    @property
    def pending(self) -> int:
        """How many are still being packed."""
        return sum(packing.child.running for packing in self._packing)

    def finish(self) -> list[str]:
        """Wait for all, each up to its deadline; a message for each that failed.

        After an exception, e.g. `Interrupted`, `abandon` stops the rest.
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
        """Stop the programs that still run; the names of the archives that are missing for that."""
        ended = [packing for packing in self._packing if packing.child.running]
        for packing in self._packing:
            packing.child.end()
            packing.clear_away()
        self._packing.clear()
        return [packing.target.name for packing in ended]
