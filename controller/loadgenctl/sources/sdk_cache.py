"""Built SDKs on disk: one folder per revision and image, complete or missing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

from loadgenctl.clock import Clock
from loadgenctl.errors import UsageError
from loadgenctl.model import ResolvedRevision
from loadgenctl.plainfile import NotPlainError
from loadgenctl.records.json_documents import read_as
from loadgenctl.sources.locks import exclusive, shared, try_exclusive

RECORD = "build.json"
SOURCE = "src"
_KEY = re.compile(r"[a-z][a-z0-9_]*-[0-9A-Za-z]{1,12}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """The content of `build.json`, which is written last: a folder with it is complete."""

    family: str
    content_id: str
    requested: str
    repository: str
    image: str
    recipe: str
    """Hash of the build's steps: other steps make another build."""
    commit: str | None = None
    commit_time: int | None = None
    built_at: float = 0.0
    """Seconds since the epoch."""
    durations: Mapping[str, float] = field(default_factory=dict)
    """Step → seconds."""
    size_bytes: int = 0
    """Of the tree on the disk when it was built."""

    def same_build(self, other: BuildRecord) -> bool:
        """True if one can be used as the other."""
        mine = (self.family, self.content_id, self.image, self.recipe)
        return mine == (other.family, other.content_id, other.image, other.recipe)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One finished build."""

    key: str
    path: Path
    record: BuildRecord

    @property
    def source(self) -> Path:
        """The built tree, to be mounted at /src."""
        return self.path / SOURCE


@dataclass(frozen=True, slots=True)
class SdkCache:
    """The folder of built SDKs, e.g. `~/.cache/loadgenctl/sdk`. Processes may share it."""

    root: Path

    def lookup(self, wanted: BuildRecord) -> CacheEntry | None:
        """The finished build of exactly this content, if there is one."""
        entry = self._entry(key_of(wanted))
        return entry if entry and entry.record.same_build(wanted) else None

    def list(self) -> list[CacheEntry]:
        """Every finished build, newest first."""
        entries = [entry for key in self.keys() if (entry := self._entry(key))]
        return sorted(entries, key=lambda entry: -entry.record.built_at)

    def keys(self) -> tuple[str, ...]:
        """The keys of all builds, including those with a record of another version."""
        if not self.root.is_dir():
            return ()
        return tuple(sorted(p.name for p in self.root.iterdir() if _KEY.fullmatch(p.name)))

    def sweep(self) -> None:
        """Remove what interrupted builds left."""
        self._sweep()

    def remove(self, key: str) -> int:
        """Remove one build; the bytes it used. `UsageError` if there is none or a run uses it."""
        if not _KEY.fullmatch(key) or not (self.root / key).is_dir():
            raise UsageError(
                f"no build {key!r} in the cache", hint="`loadgenctl sdk list` shows the built SDKs"
            )
        with try_exclusive(self._lock(key)) as free:
            if not free:
                raise UsageError(f"{key} is being built", hint="try again when the build has ended")
            return self._discard(key)

    @contextmanager
    def building(
        self,
        key: str,
        clock: Clock,
        *,
        on_wait: Callable[[], None] | None = None,
        check: Callable[[], None] | None = None,
    ) -> Iterator[None]:
        """Be the only builder of this key; removes abandoned attempts of others."""
        with exclusive(self._lock(key), clock, on_wait=on_wait, check=check):
            self._sweep(held=key)
            yield

    def partial(self, key: str) -> Path:
        """An empty folder to build in; call it inside `building`."""
        path = self.root / f"{key}.partial-{os.getpid()}"
        remove_tree(path)
        (path / SOURCE).mkdir(parents=True)
        return path

    def discard_partial(self, key: str) -> None:
        """Remove this process's attempt, unless it has become the build."""
        remove_tree(self.root / f"{key}.partial-{os.getpid()}")

    def finish(self, key: str, partial: Path, record: BuildRecord) -> CacheEntry:
        """Make the attempt the build, in place of a stale build of the same key."""
        text = json.dumps(asdict(record), indent=2) + "\n"
        draft = partial / f"{RECORD}.tmp"
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(partial / RECORD)
        if (self.root / key).exists():
            self._discard(key)
        partial.rename(self.root / key)
        return CacheEntry(key, self.root / key, record)

    @contextmanager
    def in_use(self, source: Path) -> Iterator[None]:
        """Keep a build from being removed while a run mounts it; for other folders do nothing."""
        key = source.parent.name
        ours = source.name == SOURCE and source.parent.parent == self.root and _KEY.fullmatch(key)
        with shared(self._use_lock(key)) if ours else nullcontext(True) as granted:
            if not granted:
                raise UsageError(f"{key} is being removed", hint="try again")
            yield

    def _discard(self, key: str) -> int:
        with try_exclusive(self._use_lock(key)) as unused:
            if not unused:
                raise UsageError(
                    f"a run is using the build {key}", hint="try again when that run has ended"
                )
            trash = self.root / f"{key}.partial-{os.getpid()}-removed"
            remove_tree(trash)
            size = disk_usage(self.root / key)
            (self.root / key).rename(trash)  # at once: a partial tree must never look finished
            remove_tree(trash)
            return size

    def _sweep(self, held: str | None = None) -> None:
        # A builder holds the key's lock: an attempt whose lock is free is abandoned.
        for path in self.root.glob("*.partial-*"):
            key = path.name.partition(".partial-")[0]
            with nullcontext(True) if key == held else try_exclusive(self._lock(key)) as abandoned:
                if abandoned:
                    remove_tree(path)

    def _entry(self, key: str) -> CacheEntry | None:
        path = self.root / key
        try:
            record = read_as(BuildRecord, path / RECORD)
        except (NotPlainError, ValueError):
            return None  # damaged, or by a version with other records
        finished = record is not None and (path / SOURCE).is_dir()
        return CacheEntry(key, path, record) if finished and record is not None else None

    def _lock(self, key: str) -> Path:
        return self.root / ".locks" / f"{key}.lock"

    def _use_lock(self, key: str) -> Path:
        return self.root / ".locks" / f"{key}.use"


def record_of(resolved: ResolvedRevision, image: str, recipe: str) -> BuildRecord:
    """The record of a build before it is made."""
    return BuildRecord(
        family=resolved.family,
        content_id=resolved.content_id,
        requested=resolved.requested,
        repository=resolved.repository,
        image=image,
        recipe=recipe,
        commit=resolved.commit,
        commit_time=resolved.commit_time,
    )


def key_of(record: BuildRecord) -> str:
    """`FAMILY-COMMIT12-IMAGE12`; the name of an image without an id is hashed."""
    image = record.image.removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{12,}", image):
        image = hashlib.sha256(image.encode()).hexdigest()
    return f"{record.family}-{record.content_id[:12]}-{image[:12]}"


def disk_usage(path: Path) -> int:
    """Bytes that a folder uses on the disk; a file with several names counts once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            try:
                info = Path(folder, name).lstat()
            except OSError:
                continue
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_blocks * 512
    return total


def remove_tree(path: Path) -> None:
    """Remove a folder, including subfolders without write permission (Go makes such)."""
    if not path.exists():
        return
    for folder, names, _files in os.walk(path):
        for name in names:
            child = Path(folder, name)
            if not child.is_symlink():
                child.chmod(child.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(path)
