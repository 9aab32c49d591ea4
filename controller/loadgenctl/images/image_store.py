"""The images of loadgenctl on the engine, built when they are first needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from loadgenctl.building.site import SiteSettings
from loadgenctl.clock import Clock
from loadgenctl.engines.docker_errors import explanation, is_conflict, retrying, translated
from loadgenctl.errors import UsageError
from loadgenctl.images.base_images import LABEL, Bases
from loadgenctl.images.debootstrap import Bootstrap
from loadgenctl.images.image_build import BuildContext, build_image, image_document, make_context
from loadgenctl.process import Runner
from loadgenctl.sdks.base import ImageRecipe
from loadgenctl.sources.locks import exclusive

_NAME = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::\w[\w.-]{0,127})?"
)
BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image on the engine."""

    tag: str
    id: str
    """The engine's content id, `sha256:…`."""
    built: bool
    """True if it was just built."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """One row of a list of images."""

    tag: str
    id: str
    size_bytes: int
    """With all layers, including those shared with other images."""
    created: int
    """Seconds since the epoch."""


class ImageStore:
    """Images by recipe: rendered, hashed, and built unless the engine has an image with that
    hash.
    """

    def __init__(
        self,
        client: DockerClient,
        runner: Runner,
        site: SiteSettings,
        clock: Clock,
        cache: Path,
        *,
        bases: Bases | None = None,
        cleaning: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """`cache` is the folder of locks and temporary folders; the latter are removed inside
        `cleaning`.
        """
        self._client = client
        self._site = site
        self._clock = clock
        self._locks = cache / "locks"
        bootstrap = Bootstrap(runner, site, cache / "tmp", cleaning=cleaning)
        self._bases = bases or Bases(client, bootstrap, site)

    def tag(self, recipe: ImageRecipe) -> str:
        """The tag of the recipe's image, built or not: its name and its content's hash."""
        return f"{recipe.name}:{self._context(recipe).digest}"

    def ensure(self, recipe: ImageRecipe, on_line: Callable[[str], None]) -> ImageRef:
        """The recipe's image, built if necessary, with output to `on_line`. Raises `BuildError`."""
        context = self._context(recipe)
        tag = f"{recipe.name}:{context.digest}"
        found = self._find(tag)
        if found is None:
            with self._locked(tag, on_line):
                found = self._find(tag)
                if found is None:
                    self.ensure_base(recipe.suite, on_line)
                    on_line(f"building the image {tag}")
                    made = build_image(
                        self._client,
                        context,
                        tag,
                        labels={LABEL: recipe.name},
                        build_args=self._site.proxies(),
                        mask=self._site.mask(),
                        on_line=on_line,
                    )
                    return ImageRef(tag, made, built=True)
        return ImageRef(tag, found, built=False)

    def ensure_base(self, suite: str, on_line: Callable[[str], None]) -> str:
        """The tag of the suite's base image, made if necessary. Raises `BuildError`."""
        tag = self._bases.tag(suite)
        if not self._bases.present(tag):
            with self._locked(tag, on_line):
                self._bases.make(suite, on_line)
        return tag

    def machine(self) -> str:
        """The engine's architecture as Linux calls it: `x86_64`, `aarch64`."""
        with translated("get the engine's architecture"):
            return str(self._client.api.info()["Architecture"])

    def name(self, ref: ImageRef, name: str) -> None:
        """Give an image an additional name chosen by the user. Raises `UsageError`."""
        repository, tag = parse_name(name)
        with translated(f"name the image {ref.tag} {name}"):
            try:
                self._client.api.tag(ref.id, repository, tag=tag, force=True)
            except APIError as error:
                if error.status_code != BAD_REQUEST:
                    raise
                raise UsageError(
                    f"{name!r} cannot be the name of an image: {explanation(error)}"
                ) from error

    def list(self) -> list[ImageInfo]:
        """All images of ours, by tag."""
        with translated("list the images"):
            documents = retrying(
                self._clock, lambda: self._client.api.images(filters={"label": LABEL})
            )
        return sorted(
            (
                ImageInfo(tag, image["Id"], int(image["Size"]), int(image["Created"]))
                for image in documents
                for tag in image.get("RepoTags") or ()
                if tag != "<none>:<none>"
            ),
            key=lambda info: info.tag,
        )

    def remove(self, tag: str) -> bool:
        """Remove one of our images; False if it does not exist.

        Raises `UsageError` for an image that is not ours, and for one that a container uses.
        """
        document = image_document(self._client, tag)
        if document is None:
            return False
        if LABEL not in (document["Config"].get("Labels") or {}):
            raise UsageError(f"{tag} is not an image that loadgenctl made")
        with translated(f"remove the image {tag}"), suppress(ImageNotFound):
            try:
                self._client.api.remove_image(tag)
            except APIError as error:
                if not is_conflict(error):
                    raise
                raise UsageError(
                    f"the image {tag} is in use: {explanation(error)}",
                    hint="try again when no run uses it; `loadgenctl clean` removes what dead runs"
                    " left",
                ) from error
        return True

    def _context(self, recipe: ImageRecipe) -> BuildContext:
        return make_context(recipe, self._bases.tag(recipe.suite), self._site)

    def _find(self, tag: str) -> str | None:
        document = image_document(self._client, tag)
        return None if document is None else str(document["Id"])

    def _locked(self, tag: str, on_line: Callable[[str], None]) -> AbstractContextManager[object]:
        name = tag.replace("/", "_").replace(":", "_")
        return exclusive(
            self._locks / f"image-{name}.lock",
            self._clock,
            on_wait=lambda: on_line(f"waiting for another loadgenctl that is building {tag}"),
        )


def parse_name(name: str) -> tuple[str, str]:
    """An image's name as repository and tag; the default tag is `latest`.

    Raises `UsageError`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of an image",
            hint="write NAME or NAME:TAG: lower-case letters, digits, and . _ - / in between",
        )
    repository, colon, tag = name.rpartition(":")
    # A colon before a slash belongs to a registry's port.
    return (repository, tag) if colon and "/" not in tag else (name, "latest")
