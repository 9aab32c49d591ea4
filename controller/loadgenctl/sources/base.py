"""What a source of an SDK is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadgenctl.model import ResolvedRevision
from loadgenctl.sdks.base import BuildRecipe, SourceTree


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """The requested SDK: a revision, a directory, or neither for the bundled simulated SDK."""

    family: str
    revision: str | None = None
    repository: str | None = None
    directory: Path | None = None


class SdkSource(Protocol):
    """Resolves a request, reads its files, and copies them to where they are built."""

    def resolve(self, request: SourceRequest) -> ResolvedRevision:
        """Resolve the request to fixed content. Raises `RevisionNotFound`, `UsageError`."""
        ...

    def tree(self, resolved: ResolvedRevision) -> SourceTree:
        """Read access to its files and history."""
        ...

    def materialize(self, resolved: ResolvedRevision, recipe: BuildRecipe, into: Path) -> None:
        """Put the files, with those of submodules, into the empty folder `into`."""
        ...
