"""The one-container image: the image of an SDK's era, with loadgenctl and its dependencies as
wheels.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadgenctl import resources
from loadgenctl.building.site import SiteSettings
from loadgenctl.errors import BuildError, LoadgenError
from loadgenctl.images.image_store import ImageRef, ImageStore
from loadgenctl.images.installed_toolchain import Toolchain, plain
from loadgenctl.process import Runner, own_python
from loadgenctl.sdks.base import ImageRecipe

PYTHON = "3.11"
"""Python of the one-container image: Debian bookworm's."""
_GLIBC = range(36, 4, -1)
"""Minor versions of glibc that wheels may require: bookworm has 2.36."""
_TIMEOUT = 900.0
_PIPS = (own_python("pip"), ("pip3",), ("pip",))


RUNTIME = "loadgenctl/all-in-one-runtime"
RUNTIME_SUITE = "bookworm"
"""The Debian suite of loadgenctl's Python and git, independent of the era's."""
_FOLDER = "all-in-one"


def fetch_wheels(
    lock: Path, machine: str, cache: Path, runner: Runner, site: SiteSettings
) -> list[Path]:
    """The wheels of everything in a lock file, for `machine` (`x86_64`, `aarch64`), by name.

    They are kept in `cache` and downloaded only once. pip refuses what has no hash in the lock; the
    site's settings override pip's own. Raises `BuildError`.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    folder = cache / f"{machine}-{digest}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
        try:
            _download(lock, machine, draft, runner, site)
            if not folder.is_dir():
                draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return sorted(folder.glob("*.whl"))


def _download(lock: Path, machine: str, into: Path, runner: Runner, site: SiteSettings) -> None:
    # The last one includes the older names.
    platforms = [
        *(f"manylinux_2_{minor}_{machine}" for minor in _GLIBC),
        f"manylinux2014_{machine}",
    ]
    done = runner.run(
        [
            *_pip(runner),
            *("--disable-pip-version-check", "--no-input", "download", "--quiet"),
            *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
            *("--python-version", PYTHON, "--implementation", "cp"),
            *(word for name in platforms for word in ("--platform", name)),
            *("--dest", str(into), "-r", str(lock)),
        ],
        env=_environment(site),
        timeout=_TIMEOUT,
    )
    if done.exit_code != 0:
        raise BuildError(
            "the dependencies of loadgenctl could not be fetched",
            hint="pip must reach a package index; set a mirror, proxy or certificate in pip's"
            " own configuration or in [site]",
            detail=done.last_lines(),
        )


def _environment(site: SiteSettings) -> dict[str, str]:
    given = {"PIP_INDEX_URL": site.pip_index, "PIP_CERT": site.ca_bundle}
    return {
        **site.proxies(),
        **{name: str(value) for name, value in given.items() if value is not None},
    }


def _pip(runner: Runner) -> Sequence[str]:
    """A pip: this environment's, else one on the path. Raises `BuildError`."""
    for argv in _PIPS:
        try:
            if runner.run([*argv, "--version"]).exit_code == 0:
                return argv
        except LoadgenError:
            continue  # no such program
    raise BuildError(
        "pip, needed to fetch the dependencies of loadgenctl, is missing",
        hint="install it (on Debian: apt-get install python3-pip), and try again",
    )


@dataclass(frozen=True, slots=True)
class AllInOne:
    """Makes one-container images."""

    store: ImageStore
    runner: Runner
    site: SiteSettings
    cache: Path
    """Folder of fetched wheels and of temporary files."""

    def ensure(
        self, sdk: str, era: str, recipe: ImageRecipe, on_line: Callable[[str], None]
    ) -> ImageRef:
        """The one-container image on a recipe's image, made if necessary, as are the two below it.

        `sdk` is the default SDK of the image. Raises `BuildError`.
        """
        below = self.store.ensure(recipe, on_line)
        runtime = self._runtime(on_line)
        toolchain = Toolchain(sdk, era, below.tag, below.id, recipe.suite, plain(recipe))
        folder = self.cache / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder) as document:
            document.write(toolchain.dump())
            document.flush()
            own = Path(document.name)
            return self.store.ensure(_whole(toolchain, runtime.tag, own), on_line)

    def _runtime(self, on_line: Callable[[str], None]) -> ImageRef:
        on_line("fetching the dependencies of loadgenctl")
        lock = resources.lock()
        wheels = fetch_wheels(
            lock, self.store.machine(), self.cache / "wheels", self.runner, self.site
        )
        recipe = ImageRecipe(
            name=RUNTIME,
            suite=RUNTIME_SUITE,
            template=resources.images(_FOLDER, "runtime.Dockerfile.j2"),
            files={
                "relocate.py": resources.images(_FOLDER, "relocate.py"),
                "run.txt": lock,
                **{f"wheels/{wheel.name}": wheel for wheel in wheels},
            },
        )
        return self.store.ensure(recipe, on_line)


def _whole(toolchain: Toolchain, runtime: str, own: Path) -> ImageRecipe:
    scripts = ("entry.sh", "loadgenctl.sh", "git.sh")
    package = {f"package/loadgenctl/{name}": path for name, path in resources.package().items()}
    return ImageRecipe(
        name=f"loadgenctl/all-in-one-{toolchain.era}",
        suite=toolchain.suite,
        template=resources.images(_FOLDER, "Dockerfile.j2"),
        values={
            "sdk": toolchain.sdk,
            "sdk_image": toolchain.tag,
            "runtime_image": runtime,
        },
        files={
            **{name: resources.images(_FOLDER, name) for name in scripts},
            **package,
            f"package/loadgenctl/{resources.RESOURCES}/{resources.OWN_IMAGE}": own,
        },
    )
