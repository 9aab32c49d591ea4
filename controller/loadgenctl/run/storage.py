"""Saving a role's storage: a copy while the role is stopped, then packed in the background."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import OutputFolderLost, RunError
from loadgenctl.plainfile import NotPlainError, RolePath
from loadgenctl.process import Child, Runner, own_python
from loadgenctl.records import schema
from loadgenctl.records.archive import partial_of
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


def copy_folder(runner: Runner, folder: Path | RolePath, copy: Path) -> None:
    """Copy all of a folder, owners and times too; links in it are copied as links.

    Raises `OutputFolderLost`; `NotPlainError` and `RunError` for the folder of a role that is
    reached through a link, or is missing.
    """
    program = ["cp", "-aT", "--reflink=auto", "--"]
    if isinstance(folder, RolePath):
        try:
            with folder.opened_folder() as descriptor:
                # By its descriptor: the name may lead elsewhere by the time cp opens it.
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
    """One archive on its way."""

    target: Path
    child: Child

    def clear_away(self) -> None:
        """Remove half an archive, which a program that is killed leaves there; of the copy another
        can be made.
        """
        partial_of(self.target).unlink(missing_ok=True)


class StorageSaver:
    """Packs copies at the lowest priority while the run goes on; `finish` waits for all."""

    def __init__(self, runner: Runner) -> None:
        """`runner` starts the programs."""
        self._runner = runner
        self._packing: list[_Packing] = []

    def save(self, folder: Path | RolePath, target: Path, copy: Path) -> None:
        """Copy `folder` (its role is stopped) to `copy`; begin to pack that into `target`.

        `copy` lies where no role can write: with a link in its place the copy would go elsewhere.
        """
        copy_folder(self._runner, folder, copy)
        self.pack(copy, target)

    def pack(self, copy: Path, target: Path) -> None:
        """Begin to pack a copy that is whole into `target`; the copy goes."""
        argv = own_python("loadgenctl.records.archive", str(copy), str(target))
        self._packing.append(_Packing(target, self._runner.start(argv)))

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
