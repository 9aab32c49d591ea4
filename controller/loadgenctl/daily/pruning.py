"""Remove old raw data to free space, the oldest first; summaries are kept.

Only attempts that the service made (they have an attempt.json) and that have ended are pruned, and
of those only what `records.raw_parts` defines as raw data. The built SDK in the cache is removed
with it if it was built during one of these attempts: it takes more space than the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loadgenctl.clock import Clock
from loadgenctl.daily.history import Attempt, read_history
from loadgenctl.errors import UsageError
from loadgenctl.records.raw_parts import note_pruned, raw_parts
from loadgenctl.sources.sdk_cache import SdkCache, disk_usage, remove_tree


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept."""

    keep: int
    """Number of finished revisions that keep their raw data and build, the newest ones."""
    most: int | None = None
    """Bytes that all attempts together may take; None: no limit."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """Something that was removed."""

    what: Literal["raw data", "build"]
    name: str
    """The attempt's folder, seen from the working directory; a build's key in the cache."""
    freed: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Pruner:
    """Prunes the attempts below `root`, in folders whose names begin with `prefix`."""

    root: Path
    prefix: str
    retention: Retention
    clock: Clock
    builds: SdkCache

    def prune(self, busy: str | None = None) -> Iterator[Pruned]:
        """Remove what exceeds the retention; `busy` is the folder of the revision in progress.

        That one is not counted as finished, but is pruned, too, if the total is over the limit.
        Raises `OSError`.
        """
        revisions = self._revisions()
        done = [attempts for name, attempts in revisions.items() if name != busy]
        newest_first = sorted(done, key=lambda attempts: -attempts[-1].started_at)
        old = [one for attempts in newest_first[self.retention.keep :] for one in attempts]
        for attempt in old:
            yield from self._strip(attempt)
        yield from self._forget_builds(old)
        if self.retention.most is not None:
            every = [attempt for attempts in revisions.values() for attempt in attempts]
            yield from self._shrink(every, self.retention.most)

    def used(self) -> int:
        """Bytes that all attempts take."""
        revisions = self._revisions().values()
        return sum(disk_usage(one.folder) for attempts in revisions for one in attempts)

    def _revisions(self) -> dict[str, list[Attempt]]:
        found: dict[str, list[Attempt]] = {}
        for folder in sorted(self.root.glob(f"{self.prefix}*")):
            if folder.is_symlink():
                continue
            attempts = [a for a in read_history(folder).attempts if not a.folder.is_symlink()]
            if attempts:
                found[folder.name] = attempts
        return found

    def _shrink(self, attempts: list[Attempt], most: int) -> Iterator[Pruned]:
        total = sum(disk_usage(attempt.folder) for attempt in attempts)
        for attempt in sorted(attempts, key=lambda attempt: attempt.started_at):
            if total <= most:
                return
            for pruned in self._strip(attempt):
                total -= pruned.freed
                yield pruned

    def _strip(self, attempt: Attempt) -> Iterator[Pruned]:
        """Remove raw data; nothing for an attempt in progress, or one without raw data."""
        parts = raw_parts(attempt.folder) if attempt.outcome != "running" else []
        if not parts:
            return
        freed = 0
        for part in parts:
            if part.is_dir() and not part.is_symlink():
                freed += disk_usage(part)
                remove_tree(part)
            else:
                freed += part.lstat().st_blocks * 512
                part.unlink()
        names = [part.name for part in parts]
        note_pruned(attempt.folder, now=self.clock.wall(), freed=freed, removed=names)
        yield Pruned("raw data", str(attempt.folder.relative_to(self.root)), freed)

    def _forget_builds(self, attempts: list[Attempt]) -> Iterator[Pruned]:
        """Remove builds, except those that were made otherwise and those that a run uses."""
        for entry in self.builds.list() if attempts else ():
            ours = any(
                attempt.commit == entry.record.commit
                and attempt.started_at <= entry.record.built_at <= attempt.ended_at
                for attempt in attempts
            )
            if ours:
                with suppress(UsageError):
                    yield Pruned("build", entry.key, self.builds.remove(entry.key))
