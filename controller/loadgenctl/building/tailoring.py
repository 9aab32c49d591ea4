"""Apply a site's overrides to a revision's build.

The revision itself decides which of them apply. An override without a place in a revision does not
change its build, so that one options file serves all revisions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadgenctl import resources
from loadgenctl.building.overrides import GoOverrides, NpmOverrides, Overrides, Selector
from loadgenctl.building.yarnlock import LockEntry, YarnLock, parse_lock
from loadgenctl.errors import UsageError
from loadgenctl.file_errors import file_error
from loadgenctl.model import Command, Mount
from loadgenctl.sdks.base import SRC, BuildRecipe
from loadgenctl.sources.tree_hash import content_hash

VARIABLE = "LOADGENCTL_OVERRIDES"
"""The input of images/sdk/overrides.py; see its docstring."""
RELOCK = {"YARN_ENABLE_IMMUTABLE_INSTALLS": "false"}
"""Environment of a build that changes the lockfile: later yarns refuse that in CI."""
PLACE = "/var/lib/loadgenctl/overrides"
"""Folder in the builder below which a site's own folders are mounted."""
NOTE = ".loadgenctl-overrides.json"
"""In a tree to which overrides were applied: a list of the deviations."""
LABEL = "apply the site's overrides"
_MODULE_FILES = ("golang/cosmos/go.work", "golang/cosmos/go.mod", "go.work", "go.mod")

Read = Callable[[str], bytes | None]
"""A file of the revision; None where there is none."""


@dataclass(slots=True)
class _Found:
    """What applies to a revision; filled step by step."""

    changes: dict[str, Any] = field(default_factory=dict)
    """See VARIABLE."""
    deviations: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    mounts: list[Mount] = field(default_factory=list)

    def change(self, kind: str, key: str, value: object) -> None:
        self.changes.setdefault(kind, {})[key] = value

    def mount(self, folder: Path) -> tuple[str, str]:
        """The place of a folder of this machine in the builder, and a hash of its content."""
        target = f"{PLACE}/{len(self.mounts)}"
        self.mounts.append(Mount(str(folder), target, read_only=True))
        try:
            digest = content_hash(folder)[:16]
        except OSError as error:
            raise file_error(error) from error
        # Other content makes another build.
        self.change("contents", target, digest)
        return target, digest


@dataclass(frozen=True, slots=True)
class Tailored:
    """A build with the site's overrides."""

    recipe: BuildRecipe
    deviations: tuple[str, ...] = ()
    """Differences to the SDK's own build, one line each. They name no path of this machine."""
    unused: tuple[str, ...] = ()
    """Overrides for which the revision has no place."""


def tailor(recipe: BuildRecipe, overrides: Overrides, commit: str | None, read: Read) -> Tailored:
    """The recipe with the overrides that apply to the revision. Raises `UsageError`."""
    if not recipe.steps:
        return Tailored(recipe)
    found = _Found()
    _npm(overrides.npm, read, found)
    relock = bool(found.changes)
    steps = _go(overrides.go, recipe, commit, read, found)
    if not found.deviations:
        return Tailored(recipe, unused=tuple(found.unused))
    found.changes["deviations"] = sorted(found.deviations)
    env = {VARIABLE: json.dumps(found.changes, sort_keys=True), **(RELOCK if relock else {})}
    if relock:
        steps = tuple(_without(step, recipe.frozen) for step in steps)
    # It uses the caches of the other steps.
    apply = replace(recipe.steps[0], argv=_script(), workdir=SRC, timeout=1800.0, label=LABEL)
    return Tailored(
        replace(
            recipe,
            steps=tuple(replace(step, env={**step.env, **env}) for step in (apply, *steps)),
            mounts=(*recipe.mounts, *found.mounts),
        ),
        tuple(sorted(found.deviations)),
        tuple(found.unused),
    )


def noted(read: Read) -> tuple[str, ...]:
    """The deviations of a tree that was built in place before."""
    try:
        document = json.loads(read(NOTE) or b"[]")
    except ValueError:
        return ()
    return tuple(map(str, document)) if isinstance(document, list) else ()


def _script() -> tuple[str, ...]:
    path = resources.images("sdk", "overrides.py")
    return ("python3", "-c", path.read_text(encoding="utf-8"))


def _without(step: Command, words: tuple[str, ...]) -> Command:
    """A step without some words of its script."""
    argv = step.argv
    for word in words:
        argv = tuple(re.sub(rf"(?<=\S) {re.escape(word)}(?!\S)", "", text) for text in argv)
    return replace(step, argv=argv)


def _npm(overrides: NpmOverrides, read: Read, found: _Found) -> None:
    if not (overrides.resolutions or overrides.drop):
        return
    lock = parse_lock((read("yarn.lock") or b"").decode("utf-8", "replace"))
    own = _own_resolutions(read)
    for chosen, version in overrides.resolved().items():
        hits = _hits(lock, chosen)
        if not hits:
            found.unused.append(f"site.npm.resolutions.{chosen}")
            continue
        _resolve(lock, own, chosen, version, found)
        found.deviations.append(f"npm {chosen}: resolved to {version}")
    for chosen in overrides.dropped():
        hits = _hits(lock, chosen) if lock.classic or lock.asked_directly(chosen.name) else ()
        ranges = [range_ for entry in hits for range_ in entry.ranges]
        if not ranges:
            found.unused.append(f"site.npm.drop: {chosen}")
            continue
        plain = sorted({*ranges, *(range_.removeprefix("npm:") for range_ in ranges)})
        found.change("drop", chosen.name, [] if chosen.asked is None else plain)
        found.deviations.append(f"npm {chosen}: dropped")


def _own_resolutions(read: Read) -> Mapping[str, str]:
    try:
        document = json.loads(read("package.json") or b"{}")
    except ValueError:
        return {}
    own = document.get("resolutions") if isinstance(document, dict) else None
    if not isinstance(own, dict):
        return {}
    return {key: target for key, target in own.items() if isinstance(target, str)}


def _hits(lock: YarnLock, chosen: Selector) -> tuple[LockEntry, ...]:
    """The entries that a selector names: by version, or by a required range."""
    named, asked = lock.named(chosen.name), chosen.asked
    if asked is None:
        return named
    wanted = {asked, f"npm:{asked}"}
    return tuple(one for one in named if one.version == asked or wanted & set(one.ranges))


def _resolve(
    lock: YarnLock, own: Mapping[str, str], chosen: Selector, version: str, found: _Found
) -> None:
    """The entries of `resolutions` for a package, in the syntax of the tree's yarn."""
    name, hits = chosen.name, _hits(lock, chosen)
    ranges = {range_ for entry in hits for range_ in entry.ranges}
    for key, target in own.items():
        if _names(key, name) and (chosen.asked is None or _leads_to(target, name, ranges)):
            found.change("resolutions", key, version)
    if len(hits) == len(lock.named(name)):
        found.change("resolutions", f"**/{name}" if lock.classic else name, version)
    elif not lock.classic:
        for range_ in sorted(ranges):
            found.change("resolutions", f"{name}@{range_}", version)
    else:
        # yarn 1's keys name no range: name the packages that require it.
        found.change("ranges", name, dict.fromkeys(sorted(ranges), version))
        for parent in _parents(lock, chosen, ranges):
            found.change("resolutions", f"**/{parent}/{name}", version)


def _parents(lock: YarnLock, chosen: Selector, ranges: set[str]) -> list[str]:
    """The packages that require one of the ranges of a package. Raises `UsageError` if another
    version of such a package requires other ranges: yarn 1 cannot distinguish them.
    """
    requiring = [entry for entry in lock.entries if chosen.name in entry.needs]
    found = {entry.name for entry in requiring if entry.needs[chosen.name] in ranges}
    for entry in requiring:
        if entry.name in found and entry.needs[chosen.name] not in ranges:
            raise UsageError(
                f"site.npm.resolutions.{chosen}: with yarn 1 it cannot be overridden alone, because"
                f" {entry.name} requires {chosen.name} in several versions",
                hint=f"override all of them, by the key {chosen.name}",
            )
    return sorted(found)


def _names(key: str, name: str) -> bool:
    """True if a key of `resolutions` is about a package."""
    return bool(re.fullmatch(rf"(?:.*/)?{re.escape(name)}(?:@.*)?", key))


def _leads_to(target: str, name: str, ranges: set[str]) -> bool:
    """True if the target of the tree's own resolution is one of the ranges."""
    patched = re.match(rf"patch:{re.escape(name)}@(?:npm%3A|npm:)?([^#]+)#", target)
    plain = (patched[1] if patched else target).removeprefix("npm:")
    return plain in ranges or f"npm:{plain}" in ranges


def _go(
    overrides: GoOverrides, recipe: BuildRecipe, commit: str | None, read: Read, found: _Found
) -> tuple[Command, ...]:
    """The recipe's steps; those of the Go part are replaced where the site has it built."""
    fitting = [key for key in overrides.build if commit and commit.startswith(key)]
    if len(fitting) > 1:
        raise UsageError(f"site.go.build names {commit} twice: {' and '.join(sorted(fitting))}")
    if fitting:
        if not recipe.go_part:
            raise UsageError("site.go.build: this SDK has no Go part")
        target, digest = found.mount(overrides.build[fitting[0]])
        found.deviations.append(f"go: the chain's Go part was built elsewhere ({digest})")
        return _with_part(recipe, target)
    texts = [(read(path) or b"").decode("utf-8", "replace") for path in _MODULE_FILES]
    for old, new in overrides.replace.items():
        path, _, version = old.partition("@")
        place = re.compile(
            rf"(?m)^(?!\s*//).*(?<!\S){re.escape(path)}\s+{re.escape(version)}\b(?!\S)"
        )
        if not any(place.search(text) for text in texts):
            found.unused.append(f"site.go.replace.{old}")
        elif new.startswith("/"):
            target, digest = found.mount(Path(new).resolve())
            found.change("replace", old, target)
            found.deviations.append(f"go {old}: replaced by a folder ({digest})")
        else:
            found.change("replace", old, new)
            found.deviations.append(f"go {old}: replaced by {new}")
    return recipe.steps


def _with_part(recipe: BuildRecipe, source: str) -> tuple[Command, ...]:
    part = recipe.go_part
    copy = f'rm -rf {part}\ncp -R "{source}" {part}\nchmod -R u+w {part}\n'
    steps, done = [], False
    for step in recipe.steps:
        if step.label not in recipe.go_steps:
            steps.append(step)
        elif not done:
            done = True
            steps.append(
                replace(step, argv=("/bin/sh", "-ec", copy), label="copy the chain's Go part")
            )
    return tuple(steps)
