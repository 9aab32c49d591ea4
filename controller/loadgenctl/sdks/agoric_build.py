"""How a revision of the Agoric SDK is built: its image, and the steps in the builder container."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from loadgenctl import resources
from loadgenctl.model import Command
from loadgenctl.sdks import agoric_tree
from loadgenctl.sdks.base import BUILD_HOME, SRC, BuildRecipe, ImageRecipe, SourceTree
from loadgenctl.sdks.eras import Era, Releases, WorkerSources

# `canvas`, an indirect dependency of the wallet's page, is compiled without its prebuilt binary.
ADDON_PACKAGES = (
    "libcairo2-dev",
    "libfontconfig1-dev",
    "libgif-dev",
    "libjpeg-dev",
    "libpango1.0-dev",
    "librsvg2-dev",
)

# Bundlers query the user's name, and Node fails for a uid without one.
NAME_PACKAGES = ("libnss-unknown",)

# The image has the same version of yarn as the copy in the SDK's tree.
SPARSE = ("/*", "!/.yarn/releases")
SPARSE_MODDABLE = ("/*", "!/documentation", "!/examples", "!/contributed")
SPARSE_OWN_YARN = ("/*",)
"""Of a revision whose scripts need the later yarn in its tree."""
_SUBMODULE_PATH = re.compile(rb"^\s*path\s*=\s*(\S+)\s*$", re.MULTILINE)

NATIVE: Final = "packages/xsnap/xsnap-native"
"""Submodule of the worker's sources around the engine."""

CACHES = {"yarn": "/cache/yarn", "go-modules": "/cache/go-modules", "go-build": "/cache/go-build"}
BUILD_ENV = {
    "HOME": BUILD_HOME,
    "YARN_CACHE_FOLDER": CACHES["yarn"],
    "GOMODCACHE": CACHES["go-modules"],
    "GOCACHE": CACHES["go-build"],
    "CI": "true",
}
LATER_YARN_ENV = {
    "YARN_GLOBAL_FOLDER": f"{CACHES['yarn']}/berry",
    "YARN_ENABLE_TELEMETRY": "false",
}

FROZEN = ("--frozen-lockfile", "--immutable")
"""Options of the installs below that forbid changes of the lockfile."""
INSTALL = """
mkdir -p "$HOME"
{pins}{archives}yarn install --frozen-lockfile --non-interactive
"""
# A site's git settings do not apply to GitHub's archives, which yarn 1 downloads for dependencies
# on repositories. If they rewrite GitHub's address, the archive is made of the same commit.
ARCHIVES = """\
for archive in {archives}; do
  name=${{archive%@*}}
  commit=${{archive#*@}}
  repository=https://github.com/$name
  if [ "$(git ls-remote --get-url "$repository")" != "$repository" ]; then
    git init --quiet --bare "$HOME/archive.git"
    git -C "$HOME/archive.git" fetch --quiet --depth=1 "$repository" "$commit"
    git -C "$HOME/archive.git" archive --prefix=package/ -o "$HOME/$commit.tgz" "$commit"
    sed -i "s|https://codeload.github.com/$name/tar.gz/$commit|file:$HOME/$commit.tgz|" yarn.lock
  fi
done
"""
INSTALL_BY_LATER_YARN = """
mkdir -p "$HOME"
{pins}yarn install --immutable
"""

BUILD = """
mkdir -p "$HOME"
{pins}yarn build
"""
BUILD_SOME = """
mkdir -p "$HOME"
for package in {packages}; do
  yarn workspace "$package" run build
done
"""

# The submodules' checkouts exist already: the build uses them as they are.
PIN = """\
if [ -e {path}/.git ]; then
  {variable}=$(git -C {path} rev-parse HEAD)
  export {variable}
fi
"""

# The SDK's own build uses an existing worker as it is.
WORKER = """
mkdir -p "$HOME/worker"
cd "$HOME/worker"
tarball=$(npm pack --silent {package})
tar -xzf "$tarball"
cd package
for pin in {pins}; do
  if ! grep -qx "$pin" build.env; then
    echo "{package} does not hold the sources that the revision pins: $pin" >&2
    exit 1
  fi
done
{native}made=xsnap-native/xsnap/build/bin/lin/release/xsnap-worker
make -C xsnap-native/xsnap/makefiles/lin -f xsnap-worker.mk -j "$(nproc)" \
  MODDABLE="$PWD/moddable" GOAL=release XSNAP_VERSION={version} \
  'CC=cc "-D__has_builtin(x)=1"' EXTRA_DEPS=
install -D "$made" {worker}
"""

WORKER_NATIVE = """\
rm -rf xsnap-native
cp -R {submodule} xsnap-native
"""

GO = """
mkdir -p "$HOME"
make -C golang/cosmos all
"""
# The SDK's own Makefile compiles every package twice, once for the library and once for a tool of
# another kind. A position-independent tool shares the compiled packages of the library.
GO_ONCE = """
mkdir -p "$HOME"
cd golang/cosmos
go mod download
touch "$(dirname "$(go env GOMOD)")/go.sum"
make compile-libdaemon
make --dry-run compile-agd | sed 's/-buildmode=exe/-buildmode=pie/' >"$HOME/agd.sh"
/bin/sh -ex "$HOME/agd.sh"
make node-compile-gyp
"""

# The tool's wrapper notes below node_modules what is built; roles may not write there.
WRAPPER = """
NO_BUILD=true bin/agd version
"""

# The targets of replacements of required modules. In a workspace Go itself names all missing ones.
ASK_MODULES = r"""
mkdir -p "$HOME"
if [ -e golang/cosmos/go.work ]; then exit; fi
if [ -e golang/cosmos/go.mod ]; then cd golang/cosmos; fi
modules=$(awk '
  { sub(/\/\/.*/, ""); sub(/^replace /, "") }
  /=>/ { if ($NF ~ /^v/) to[$1] = $(NF - 1) "@" $NF; next }
  $1 == "require" { asked[$2] = 1 }
  $2 ~ /^v/ { asked[$1] = 1 }
  END { for (name in asked) if (name in to) print to[name] }
' go.mod)
cd "$(mktemp -d)"
failed=0
for module in $modules; do
  go mod download "$module" || failed=1
done
exit "$failed"
"""

GO_STEP: Final = "build the chain"
GO_PART: Final = "golang/cosmos/build"
ADDON: Final = f"{GO_PART}/Release/agcosmosdaemon.node"
"""The chain's Go part, as Node loads it."""
CHECK = """
for made in golang/cosmos/build/$HELPER {addon} \
    {worker}; do
  if [ ! -s "$made" ]; then
    echo "the build ended without an error, but $made is missing" >&2
    exit 1
  fi
done
"""


@dataclass(frozen=True, slots=True)
class MadeOf:
    """What a revision's build needs besides its era's tools."""

    submodules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """See `BuildRecipe.submodules`."""
    worker: WorkerSources | None = None
    """The sources of the vats' worker; None: the SDK itself builds it."""
    worker_version: str = ""
    packages: tuple[str, ...] = ()
    """Workspaces to be built; empty: all."""
    archives: tuple[str, ...] = ()
    """`OWNER/NAME@COMMIT` of GitHub repositories that are dependencies."""
    wrapped: bool = False
    """The client calls the tool by a wrapper whose first call writes into the tree."""
    own_yarn: bool = False
    """A later yarn reads the path of a yarn in the tree, and fails if that is missing."""


def made_of(era: Era, releases: Releases, tree: SourceTree) -> MadeOf:
    """What the revision's own files say about its build."""
    archives = agoric_tree.archives(tree)
    if not era.asks:
        return MadeOf(_submodules(tree), archives=archives)
    worker, submodules = agoric_tree.worker_sources(releases, tree), _submodules(tree)
    if worker is not None:
        submodules = {NATIVE: ()} if worker.native is None else {}
    return MadeOf(
        submodules=submodules,
        worker=worker,
        worker_version=agoric_tree.worker_version(tree),
        packages=agoric_tree.built_packages(tree) if worker else (),
        archives=archives,
        wrapped=agoric_tree.has_writing_wrapper(tree),
        own_yarn=agoric_tree.has_own_yarn(tree),
    )


def image(era: Era) -> ImageRecipe:
    """Debian with the era's Node, yarn and Go."""
    return ImageRecipe(
        name=f"loadgenctl/sdk-{era.name}",
        suite=era.suite,
        template=resources.images("sdk", "Dockerfile.j2"),
        values={
            "node": era.node,
            "npm": era.npm,
            "yarn": era.yarn,
            "old_gyp": era.old_gyp,
            "go_package": era.go_package,
            "go_release": era.go_release if not era.go_package else "",
            "go_root": era.go_root,
            "apt_packages": NAME_PACKAGES if era.asks else ADDON_PACKAGES,
        },
    )


def build(era: Era, made: MadeOf) -> BuildRecipe:
    """Packages, the chain's Go part, then everything that is bundled from JavaScript."""
    pins = "".join(PIN.format(path=path, variable=name) for path, name in era.pins.items())
    later_yarn = not era.yarn.startswith("1.")
    install = INSTALL_BY_LATER_YARN if later_yarn else INSTALL
    worker, steps = made.worker, []
    if worker is not None:
        script = _worker_script(era, worker, made.worker_version)
        steps.append(_step(era, "build the vats' worker", script, 1800.0))
    archives = ARCHIVES.format(archives=" ".join(made.archives)) if made.archives else ""
    script = install.format(pins=pins if era.asks else "", archives=archives)
    steps += [
        _step(era, "install the packages", script, 3600.0),
        _step(era, GO_STEP, GO_ONCE if era.asks else GO, 5400.0),
        _step(
            era,
            "build the packages",
            BUILD_SOME.format(packages=" ".join(map(shlex.quote, made.packages)))
            if made.packages
            else BUILD.format(pins=pins),
            3600.0,
        ),
        *((_step(era, "run the tool's wrapper", WRAPPER, 600.0),) if made.wrapped else ()),
        _step(era, "check what was built", CHECK.format(addon=ADDON, worker=era.worker), 60.0),
    ]
    return BuildRecipe(
        steps=tuple(steps),
        caches=CACHES,
        sparse=SPARSE_OWN_YARN if made.own_yarn else SPARSE,
        submodules=made.submodules,
        frozen=FROZEN,
        ask_modules=_step(era, "fetch the Go modules", ASK_MODULES, 1800.0),
        go_steps=(GO_STEP,),
        go_part=GO_PART,
        makes=(f"{GO_PART}/{era.helper}", ADDON, era.worker),
    )


def _worker_script(era: Era, worker: WorkerSources, version: str) -> str:
    """Compile the worker from a package, or from the engine in it and a submodule."""
    pins = [f"MODDABLE_COMMIT_HASH={worker.moddable}"]
    if worker.native is not None:
        pins.append(f"XSNAP_NATIVE_COMMIT_HASH={worker.native}")
    return WORKER.format(
        package=worker.package,
        pins=" ".join(pins),
        native="" if worker.native else WORKER_NATIVE.format(submodule=f"{SRC}/{NATIVE}"),
        version=shlex.quote(version),
        worker=f"{SRC}/{era.worker}",
    )


def _step(era: Era, label: str, script: str, timeout: float) -> Command:
    return Command(
        argv=("/bin/sh", "-ec", script),
        env={
            **BUILD_ENV,
            "HELPER": era.helper,
            **({"PYTHONPATH": "/opt/old-gyp"} if era.old_gyp else {}),
            **(
                {**LATER_YARN_ENV, "XSNAP_WORKER": f"{SRC}/{era.worker}"}
                if not era.yarn.startswith("1.")
                else {}
            ),
        },
        workdir=SRC,
        timeout=timeout,
        label=label,
    )


def _submodules(tree: SourceTree) -> dict[str, tuple[str, ...]]:
    paths = [path.decode() for path in _SUBMODULE_PATH.findall(tree.read(".gitmodules") or b"")]
    return {path: SPARSE_MODDABLE if path.endswith("/moddable") else () for path in paths}
