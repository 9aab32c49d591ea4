"""Free space on the disks: checked before anything is made, and again while stages run."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.clock import Clock
from loadgenctl.errors import DiskFull, OutputFolderError
from loadgenctl.formatting import size as shown
from loadgenctl.model import RunPlan

MIB = 1024 * 1024
LOOK = 5.0
"""Seconds between two checks of the disks."""
OPEN_END = 60.0
"""Minutes that are assumed for a stage without an end."""
NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre"}
    | {"nfs", "nfs4", "smb3", "smbfs"}
)
"""Kinds of file systems whose locks and flushes depend on another machine."""


_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Rates:
    """What a chain writes, estimated high; bytes."""

    slog: int
    """Per minute, plain: it exists until the stage ends."""
    packed: int
    """Per minute, packed."""
    storage: int
    """The first state of chain and client."""
    growth: int
    """Per minute of load."""
    saved: int
    """One saved storage."""


REAL = Rates(8 * MIB, MIB, 128 * MIB, 2 * MIB, 64 * MIB)
"""An hour of fa7ff5e55e under all three loads wrote 5.3 MB of slog a minute, 0.8 MB packed; its
state began with 65 MB, and what was saved grew from 4 to 14 MB.
"""
SIMULATED = Rates(MIB // 4, MIB // 16, 2 * MIB, MIB // 16, MIB // 2)


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that a run will probably write."""

    results: int
    state: int


class Disks:
    """The machine's disks; a seam for tests. Paths need not exist yet."""

    def free(self, path: Path) -> int | None:
        """Bytes that this user may still write; None if unknown."""
        try:
            usage = os.statvfs(existing(path))
        except OSError:
            return None
        return usage.f_bavail * usage.f_frsize if usage.f_blocks else None

    def device(self, path: Path) -> int:
        """Equal for paths on one disk. Raises `OSError`."""
        return existing(path).stat().st_dev

    def writable(self, path: Path) -> bool:
        """False if no file can be made there, e.g. on a read-only mount."""
        return os.access(existing(path), os.W_OK)

    def kind(self, path: Path) -> str | None:
        """The kind of file system, e.g. `nfs4`; None if unknown."""
        try:
            mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return None
        return kind_of_mount(existing(path), mounts)

    def locks(self, path: Path) -> bool:
        """True if a file there can be locked. Raises `OSError` if no file can be made."""
        with tempfile.TemporaryFile(dir=existing(path)) as probe:
            try:
                fcntl.lockf(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.resolve()


def kind_of_mount(path: Path, mounts: str) -> str | None:
    """The file system of a resolved path by the text of a mountinfo; a later mount hides others."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        # Spaces and the like are written as octal escapes.
        point = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), after.split(" ")[0]
    return None if found is None else found[1]


def needs(plan: RunPlan, *, simulated: bool) -> Needs:
    """A rough estimate: slogs and saved storage are in the results, the state in its folder."""
    rates = SIMULATED if simulated else REAL
    minutes = [
        OPEN_END if stage.duration_s < 0 else stage.duration_s / 60 + 1 for stage in plan.stages
    ]
    loaded = sum(
        length for stage, length in zip(plan.stages, minutes, strict=True) if not stage.chain_only
    )
    state = rates.storage + rates.growth * loaded
    saves = sum(stage.save_storage for stage in plan.stages)
    results = rates.slog * max(minutes) + rates.packed * sum(minutes) + rates.saved * saves
    if saves:
        # A copy of the storage exists while it is packed.
        results += state
    return Needs(int(results), int(state))


def preflight(plan: RunPlan, needed: Needs, disks: Disks, warn: Callable[[str], None]) -> None:
    """Raise `OutputFolderError` if a folder is not writable or lockable, or its disk too full."""
    folders = {"--output-dir": plan.output_dir, "--state-dir": plan.state_dir}
    for option, folder in folders.items():
        if not disks.writable(folder):
            raise OutputFolderError(f"{folder} cannot be written", hint=f"choose another {option}")
    for option, folder in folders.items():
        _check_locks(option, folder, disks, warn)
    try:
        shared = disks.device(plan.output_dir) == disks.device(plan.state_dir)
    except OSError as error:
        raise OutputFolderError(
            f"{plan.output_dir} or {plan.state_dir} cannot be used: {error.strerror}",
            hint="choose another --output-dir or --state-dir",
        ) from error
    sizes = {"--output-dir": needed.results, "--state-dir": needed.state}
    if shared:
        sizes = {"--output-dir": needed.results + needed.state}
    for option, size in sizes.items():
        _check_space(plan, option, folders[option], size, disks)


def _check_locks(option: str, folder: Path, disks: Disks, warn: Callable[[str], None]) -> None:
    kind = disks.kind(folder)
    if kind not in NETWORK:
        return
    try:
        locks = disks.locks(folder)
    except OSError as error:
        raise OutputFolderError(
            f"{folder} cannot be written: {error.strerror}", hint=f"choose another {option}"
        ) from error
    if not locks:
        raise OutputFolderError(
            f"{folder} is on a network mount ({kind}) where files cannot be locked",
            hint=f"the chain's databases need locks: choose an {option} on a disk of this machine",
        )
    warn(
        f"{folder} is on a network mount ({kind}), whose delays become part of what is measured;"
        f" prefer an {option} on a disk of this machine"
    )


def _check_space(plan: RunPlan, option: str, folder: Path, size: int, disks: Disks) -> None:
    free = disks.free(folder)
    needed = plan.disk_reserve + size if plan.disk_needed is None else plan.disk_needed
    if free is None or free >= needed:
        return
    how = "is estimated to need" if plan.disk_needed is None else "is configured to require"
    raise OutputFolderError(
        f"there is too little space in {folder}: {shown(free)} are free, and the run {how}"
        f" {shown(needed)}",
        hint=f"free some space, choose another {option}, or set --disk.needed to what is enough",
    )


class DiskGuard:
    """Checks every few seconds that the run's disks have the reserve free, and that the results can
    be written.
    """

    def __init__(
        self, plan: RunPlan, disks: Disks, clock: Clock, check_results: Callable[[], None]
    ) -> None:
        """Nothing is checked yet. `check_results` raises if records cannot be written."""
        self._check_results = check_results
        self._folders = {"results": plan.output_dir, "state": plan.state_dir}
        self._reserve = plan.disk_reserve
        self._disks = disks
        self._clock = clock
        self._checked_at = clock.monotonic()

    def poll(self) -> None:
        """`check`, if that is due. It costs a few system calls."""
        if self._clock.monotonic() - self._checked_at >= LOOK:
            self.check()

    def check(self) -> None:
        """Raise `DiskFull` if less than the reserve is free, `OutputFolderLost` if the results
        cannot be written: a run of hours must not fail for that at its end only.
        """
        self._checked_at = self._clock.monotonic()
        self._check_results()
        for what, folder in self._folders.items():
            free = self._disks.free(folder)
            if free is not None and free < self._reserve:
                raise DiskFull(
                    f"the disk of the {what} is almost full: {shown(free)} are free in {folder},"
                    f" and {shown(self._reserve)} are reserved",
                    step="disk",
                    hint="free some space, or choose a folder on another disk; --disk.reserve sets"
                    " what is reserved",
                )
