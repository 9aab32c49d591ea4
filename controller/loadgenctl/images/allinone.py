"""The one-container image: the image of an SDK's era, with loadgenctl beside the toolchain."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadgenctl import resources
from loadgenctl.building.site import SiteSettings
from loadgenctl.images.own import Toolchain, plain
from loadgenctl.images.store import ImageRef, ImageStore
from loadgenctl.images.wheels import fetch_wheels
from loadgenctl.process import Runner
from loadgenctl.sdks.base import ImageRecipe

RUNTIME = "loadgenctl/all-in-one-runtime"
RUNTIME_SUITE = "bookworm"
"""The Debian whose Python and git loadgenctl runs on, whatever the era's is."""
_FOLDER = "all-in-one"


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
        """The one-container image upon a recipe's, made if need be, as are the two below it.

        `sdk` is what is run where no option says otherwise. Raises `BuildError`.
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
