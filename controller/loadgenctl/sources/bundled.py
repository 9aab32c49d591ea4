"""The simulated SDK, which comes with loadgenctl itself."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from loadgenctl import resources
from loadgenctl.errors import UsageError
from loadgenctl.model import ResolvedRevision
from loadgenctl.sdks.base import BuildRecipe
from loadgenctl.sources.base import SourceRequest
from loadgenctl.sources.tree_hash import content_hash, files, read_inside


@dataclass(frozen=True, slots=True)
class BundledSource:
    """The tree `images/sim`; its content id is a hash of its files."""

    root: Path | None = None
    """Another folder instead."""

    def resolve(self, request: SourceRequest) -> ResolvedRevision:
        """See `SdkSource.resolve`."""
        if request.revision or request.repository:
            raise UsageError(
                "the bundled simulated SDK has no revisions",
                hint="omit --revision and --sdk-repo, or choose another --sdk",
            )
        return ResolvedRevision(
            family=request.family,
            requested="bundled",
            commit=None,
            commit_time=None,
            content_id=content_hash(self._root),
            repository="bundled",
        )

    def tree(self, resolved: ResolvedRevision) -> BundledTree:  # noqa: ARG002 - there is one tree
        """See `SdkSource.tree`."""
        return BundledTree(self._root)

    def materialize(
        self,
        resolved: ResolvedRevision,  # noqa: ARG002
        recipe: BuildRecipe,  # noqa: ARG002 - the tree is small: all of it
        into: Path,
    ) -> None:
        """See `SdkSource.materialize`. Copies only what the content id covers."""
        for path in files(self._root):
            target = into / path.relative_to(self._root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)

    @property
    def _root(self) -> Path:
        return self.root or resources.images("sim")


@dataclass(frozen=True, slots=True)
class BundledTree:
    """See `SourceTree`."""

    root: Path

    def read(self, path: str) -> bytes | None:
        """See `SourceTree.read`."""
        return read_inside(self.root, path)

    def contains(self, commit: str) -> bool | None:  # noqa: ARG002 - it has no history
        """See `SourceTree.contains`."""
        return None
