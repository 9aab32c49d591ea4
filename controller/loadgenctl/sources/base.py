"""Where an SDK comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadgenctl.model import ResolvedRevision
from loadgenctl.sdks.base import BuildRecipe, SourceTree


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What the person asked for; exactly one of revision, directory or neither (the bundled
    simulated SDK).
    """

    family: str
    revision: str | None = None
    repository: str | None = None
    directory: Path | None = None


class SdkSource(Protocol):
    """Resolves a request, shows the tree, and puts it somewhere it can be built."""

    def resolve(self, request: SourceRequest) -> ResolvedRevision:
        """Pin the request down. Raises `RevisionNotFound`, `UsageError`."""
        ...

    def tree(self, resolved: ResolvedRevision) -> SourceTree:
        """A look into its files."""
        ...

    def materialize(self, resolved: ResolvedRevision, recipe: BuildRecipe, into: Path) -> None:
        """Put the files into the empty folder `into`, submodules too."""
        ...
