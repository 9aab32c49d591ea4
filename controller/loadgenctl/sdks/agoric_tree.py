"""What the files of a revision of the Agoric SDK say: its tools, worker and configuration."""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec.structs import replace

from loadgenctl.sdks.base import SourceTree
from loadgenctl.sdks.eras import GO_MODS, Era, Releases, WorkerSources, asked_go, text_of

Version = tuple[int, int, int]

CONFIGURATION = "decentral-demo-config.json"
"""The SDK's bootstrap configuration for load generators."""
_CONFIGURATION_PACKAGES = ("vm-config", "boot", "vats")
_PIN = re.compile(r"^(MODDABLE|XSNAP_NATIVE)_COMMIT_HASH=([0-9a-f]{40})\s*$", re.MULTILINE)
_TOOLCHAIN = re.compile(rb"^toolchain\s+go(\d+)\.(\d+)(?:\.(\d+))?", re.MULTILINE)
_COMPARATOR = re.compile(
    r"(\^|~|>=|<=|>|<|=)?v?(?:(\d+)(?:\.(\d+))?(?:\.(\d+))?|[*x])(?:\.[*x]){0,2}", re.IGNORECASE
)
_GAP = re.compile(r"([<>=~^]+)\s+")
_ARCHIVE = re.compile(
    r"^\s+resolved \"?https://codeload\.github\.com/([\w.-]+/[\w.-]+)/tar\.gz/([0-9a-f]{40})\b",
    re.MULTILINE,
)
_PROGRAMS = ("cosmic-swingset", "agoric-cli", "solo")
"""Workspaces with the programs of chain and client."""
_BUNDLED = ("xsnap-lockdown", "swingset-xsnap-supervisor")
"""Workspaces whose build bundles the code of the vats' worker."""
_FINISHED = ("agoric-cli", "spawner")
"""Workspaces whose build needs all others."""


def fitted(era: Era, releases: Releases, tree: SourceTree) -> tuple[Era, tuple[str, ...]]:
    """The era with the tools that the revision itself requires, and notes about them.

    Only eras whose revisions name their tools change.
    """
    if not era.asks:
        return era, ()
    package = _json(tree, "package.json")
    notes: list[str] = []
    node = _node(era, releases, tree, package, notes)
    yarn = str(package.get("packageManager", "")).partition("+")[0].removeprefix("yarn@")
    go = _go(era, releases, tree, notes)
    changed = replace(
        era,
        node=node,
        npm=_npm_of(releases, node),
        yarn=yarn if parse_version(yarn) else era.yarn,
        **go,
    )
    configuration = _configuration(tree)
    if configuration is not None:
        changed = replace(changed, chain_env={"CHAIN_BOOTSTRAP_VAT_CONFIG": configuration})
    return changed, tuple(notes)


def worker_sources(releases: Releases, tree: SourceTree) -> WorkerSources | None:
    """The package with the sources that the revision pins; None if none is known.

    If only its engine is the pinned one, `native` is None: a submodule has the rest.
    """
    pins = dict(_PIN.findall(text_of(tree, "packages/xsnap/build.env")))
    fitting = [one for one in releases.worker if one.moddable == pins.get("MODDABLE")]
    for sources in fitting:
        if pins.get("XSNAP_NATIVE") == sources.native:
            return sources
    has_native = b"packages/xsnap/xsnap-native" in (tree.read(".gitmodules") or b"")
    return replace(fitting[0], native=None) if fitting and has_native else None


def worker_version(tree: SourceTree) -> str:
    """The version that the worker reports: that of its package."""
    return str(_json(tree, "packages/xsnap/package.json").get("version", "0.0.0"))


def archives(tree: SourceTree) -> tuple[str, ...]:
    """`OWNER/NAME@COMMIT` of each repository whose archive the lockfile of yarn 1 names."""
    found = _ARCHIVE.findall(text_of(tree, "yarn.lock"))
    return tuple(sorted({f"{name}@{commit}" for name, commit in found}))


def built_packages(tree: SourceTree) -> tuple[str, ...]:
    """Names of the workspaces that must be built, in build order."""
    found = []
    for folder in (*_BUNDLED, *_compiled(tree), *_FINISHED):
        package = _json(tree, f"packages/{folder}/package.json")
        if "build" in package.get("scripts", {}):
            found.append(str(package["name"]))
    return tuple(found)


def _compiled(tree: SourceTree) -> list[str]:
    """Folders of the workspaces that the programs import from `dist/`, dependencies first.

    `dist/` is not in the repository: it is what the workspace's build writes.
    """
    found: list[str] = []
    seen: set[str] = set()

    def visit(folder: str) -> None:
        if folder in seen:
            return
        seen.add(folder)
        package = _json(tree, f"packages/{folder}/package.json")
        for name in package.get("dependencies", {}):
            scope, _, inner = str(name).partition("/")
            if scope == "@agoric":
                visit(inner)
        if str(package.get("main", "")).removeprefix("./").startswith("dist/"):
            found.append(folder)

    for folder in _PROGRAMS:
        visit(folder)
    return found


def has_own_yarn(tree: SourceTree) -> bool:
    """True if `.yarnrc.yml` names a yarn of the tree, which yarn 4 needs for each script."""
    return re.search(rb"^yarnPath:", tree.read(".yarnrc.yml") or b"", re.MULTILINE) is not None


def has_writing_wrapper(tree: SourceTree) -> bool:
    """True if `bin/agd` writes into the tree even with NO_BUILD, as until April 2024."""
    builder = "scripts/agd-builder.sh"
    return tree.read("bin/agd") is not None and tree.read(builder) is None


def parse_version(text: str) -> Version | None:
    """Major, minor and patch of `1.2.3`, with a `v` or without; None for anything else."""
    found = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def satisfies(version: Version, wanted: str) -> bool:
    """True if a version is in a range of npm's: comparators, joined by spaces and by `||`.

    A range of another form contains no version. Source: node-semver's README, "Ranges".
    """
    together = _GAP.sub(r"\1", wanted)
    return any(_all_hold(version, part.split()) for part in together.split("||"))


def _all_hold(version: Version, comparators: list[str]) -> bool:
    return bool(comparators) and all(_holds(version, one) for one in comparators)


def _holds(version: Version, comparator: str) -> bool:
    found = _COMPARATOR.fullmatch(comparator)
    if found is None:
        return False
    given = tuple(int(part) for part in found.groups()[1:] if part is not None)
    # A missing part stands for any number: `>18` begins with 19.
    low, near = (*given, 0, 0, 0)[:3], version[: len(given)]
    match found[1]:
        case "^":
            fixed = next((place for place, part in enumerate(given) if part), len(given) - 1)
            return version >= low and version[: fixed + 1] == low[: fixed + 1]
        case "~":
            return version >= low and near[:2] == given[:2]
        case ">=":
            return version >= low
        case ">":
            return near > given
        case "<":
            return version < low
        case "<=":
            return near <= given
        case _:
            return near == given


def _node(
    era: Era, releases: Releases, tree: SourceTree, package: dict[str, Any], notes: list[str]
) -> str:
    """`.node-version`; else the era's own if inside `engines`, else the newest inside it."""
    words = re.sub(r"#.*", "", text_of(tree, ".node-version")).split()
    named = words[0].removeprefix("v") if words else ""
    if parse_version(named):
        return named
    wanted = str(package.get("engines", {}).get("node", ""))
    if not named and (not wanted or _inside(era.node, wanted)):
        return era.node
    for release in reversed(releases.node):
        if _inside(release, named or wanted):
            return release
    notes.append(f"no known release of Node is {named or wanted}; {era.node} is used")
    return era.node


def _inside(release: str, wanted: str) -> bool:
    version = parse_version(release)
    return version is not None and satisfies(version, wanted)


def _npm_of(releases: Releases, node: str) -> str:
    major = node.partition(".")[0]
    return releases.npm.get(major, releases.npm[max(releases.npm, key=int)])


def _go(era: Era, releases: Releases, tree: SourceTree, notes: list[str]) -> dict[str, str]:
    """Go's version: the revision's own, else the next newer release."""
    chains = [_TOOLCHAIN.search(tree.read(path) or b"") for path in GO_MODS]
    named = [asked_go(tree), *((int(found[1]), int(found[2])) for found in chains if found)]
    asked = max((one for one in named if one is not None), default=None)
    if asked is None or (era.go_package and asked <= era.go_version):
        return {}
    for release in releases.go:
        version = parse_version(release)
        if version is not None and version[:2] >= asked:
            if version[:2] != asked:
                notes.append(
                    f"the revision requires Go {asked[0]}.{asked[1]}, of which no release is known:"
                    f" it is built with {release}"
                )
            return _released(release)
    newest = releases.go[-1]
    notes.append(f"the revision requires Go {asked[0]}.{asked[1]}; {newest} is the newest known")
    return _released(newest)


def _released(release: str) -> dict[str, str]:
    return {"go": release.rpartition(".")[0], "go_package": "", "go_release": release}


def _configuration(tree: SourceTree) -> str | None:
    for package in _CONFIGURATION_PACKAGES:
        if tree.read(f"packages/{package}/{CONFIGURATION}") is not None:
            return f"@agoric/{package}/{CONFIGURATION}"
    return None


def _json(tree: SourceTree, path: str) -> dict[str, Any]:
    try:
        document = json.loads(tree.read(path) or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
