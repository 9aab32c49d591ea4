"""A build context in memory: the rendered Dockerfile and the files beside it, and their hash."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from loadgenctl.building.site import SiteSettings
from loadgenctl.errors import BuildError
from loadgenctl.sdks.base import ImageRecipe

DOCKERFILE = "Dockerfile"
SITE_CA = "site-ca.crt"
"""Name of the site's CA bundle in the context, where the site has one."""
_HASH_LENGTH = 16


@dataclass(frozen=True, slots=True)
class ContextFile:
    """One file of a build context."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What the engine gets to build an image from."""

    files: Mapping[str, ContextFile]
    """Name in the context → file; the Dockerfile among them."""

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change with any byte of any file, its name or its mode."""
        whole = hashlib.sha256()
        for name, file in sorted(self.files.items()):
            content = hashlib.sha256(file.content).hexdigest()
            whole.update(f"{name}\0{int(file.executable)}\0{content}\n".encode())
        return whole.hexdigest()[:_HASH_LENGTH]

    def tar(self) -> io.BytesIO:
        """The context as a tar, the same bytes every time: the engine's cache compares them too."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, file in sorted(self.files.items()):
                info = tarfile.TarInfo(name)
                info.size = len(file.content)
                info.mode = 0o755 if file.executable else 0o644
                archive.addfile(info, io.BytesIO(file.content))
        buffer.seek(0)
        return buffer


def make_context(recipe: ImageRecipe, base: str, site: SiteSettings) -> BuildContext:
    """The context of a recipe on the image `base`. Raises `BuildError` for a faulty recipe."""
    files = {name: _read(recipe, path) for name, path in recipe.files.items()}
    if site.ca_bundle is not None:
        files[SITE_CA] = _read(recipe, site.ca_bundle)
    values = {
        **recipe.values,
        **site.template_values(),
        "base": base,
        "suite": recipe.suite,
    }
    files[DOCKERFILE] = ContextFile(_render(recipe.template, values).encode())
    return BuildContext(files)


def _render(template: Path, values: Mapping[str, object]) -> str:
    environment = jinja2.Environment(  # noqa: S701 - a Dockerfile is not HTML
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    try:
        return environment.from_string(template.read_text("utf-8")).render(values)
    except OSError as error:
        raise BuildError(f"the template {template} cannot be read: {error.strerror}") from error
    except jinja2.TemplateError as error:
        raise BuildError(f"the template {template} cannot be rendered: {error}") from error


def _read(recipe: ImageRecipe, path: Path) -> ContextFile:
    try:
        return ContextFile(path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))
    except OSError as error:
        raise BuildError(
            f"a file of the image {recipe.name} cannot be read: {path}: {error.strerror}"
        ) from error
