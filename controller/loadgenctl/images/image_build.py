"""Builds an image on the Docker engine from a build context in memory."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from loadgenctl.building.failure import missing_versions
from loadgenctl.building.site import SiteSettings
from loadgenctl.engines.docker_errors import translated
from loadgenctl.engines.log_text import as_drawn
from loadgenctl.errors import BuildError, cleaned_up
from loadgenctl.masking import Mask
from loadgenctl.sdks.base import ImageRecipe

DOCKERFILE = "Dockerfile"
SITE_CA = "site-ca.crt"
"""Name of the site's CA bundle in the context, if the site has one."""
_HASH_LENGTH = 16


_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_LAYER = re.compile(r" ---> ([0-9a-f]{12,64})$")
_KEPT_LINES = 20
_COMMAND_LENGTH = 120
_NETWORK_SIGNS = (
    "Could not resolve",
    "Temporary failure",
    "Unable to connect",
    "Could not connect",
    "ENOTFOUND",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "network is unreachable",
)
_CERTIFICATE_SIGNS = ("certificate", "SELF_SIGNED", "UNABLE_TO_GET_ISSUER")


@dataclass(frozen=True, slots=True)
class ContextFile:
    """One file of a build context."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The files from which the engine builds an image."""

    files: Mapping[str, ContextFile]
    """Name in the context → file; includes the Dockerfile."""

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that depend on every byte of every file, its name and its mode."""
        whole = hashlib.sha256()
        for name, file in sorted(self.files.items()):
            content = hashlib.sha256(file.content).hexdigest()
            whole.update(f"{name}\0{int(file.executable)}\0{content}\n".encode())
        return whole.hexdigest()[:_HASH_LENGTH]

    def tar(self) -> io.BytesIO:
        """The context as a tar, always with the same bytes, which the engine's cache compares."""
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


class BuildOutput:
    """The output of a build so far, from the engine's stream."""

    def __init__(self, on_line: Callable[[str], None], mask: Mask) -> None:
        """Every complete line goes to `on_line`, masked by `mask`."""
        self._on_line, self._mask = on_line, mask
        self._rest = ""
        self.step = ""
        """The running step, for example `4/9 : RUN make`."""
        self.error: str | None = None
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        """The end of the step's output."""
        self.stage_layers: list[str] = []
        """The newest image of every build stage so far."""

    def feed(self, document: Mapping[str, Any]) -> None:
        """Take one document of the stream."""
        if "error" in document:
            self.flush()
            self.error = self._mask(str(document["error"]))
            return
        text = document.get("stream")
        if text is None and "status" in document:
            text = f"{document['status']}\n"
        if text:
            *lines, self._rest = (self._rest + str(text)).split("\n")
            for line in lines:
                self._line(line)

    def flush(self) -> None:
        """The stream has ended: the rest is the last line."""
        if self._rest:
            rest, self._rest = self._rest, ""
            self._line(rest)

    def _line(self, raw: str) -> None:
        line = self._mask(as_drawn(raw))
        step = _STEP.match(line)
        layer = _LAYER.match(line)
        if step is not None:
            self.step = line.removeprefix("Step ")
            self.last_lines.clear()
            if step[3].upper().startswith("FROM"):
                self.stage_layers.append("")
        elif layer is not None and self.stage_layers:
            self.stage_layers[-1] = layer[1]
        elif line and layer is None:
            self.last_lines.append(line)
        if line:
            self._on_line(line)


def build_image(
    client: DockerClient,
    context: BuildContext,
    tag: str,
    *,
    labels: Mapping[str, str],
    build_args: Mapping[str, str],
    mask: Mask,
    on_line: Callable[[str], None],
) -> str:
    """Build and tag an image; return its id. Raises `BuildError`.

    No container or untagged layer remains in any case. An interrupt ends the build.
    """
    output = BuildOutput(on_line, mask)
    with cleaned_up(lambda: _remove_untagged(client, output.stage_layers)):
        with translated(f"build the image {tag}"):
            stream = client.api.build(
                fileobj=context.tar(),
                custom_context=True,
                tag=tag,
                rm=True,
                forcerm=True,
                decode=True,
                labels=dict(labels),
                # Only proxies: the engine omits these predefined arguments from the history.
                buildargs=dict(build_args),
                use_config_proxy=False,
            )
            # Closing the stream cancels the build.
            with closing(stream):
                for document in stream:
                    output.feed(document)
        output.flush()
        if output.error is not None:
            raise _failure(tag, output)
        document = image_document(client, tag)
        if document is None:
            raise BuildError(f"the engine built the image {tag} but does not have it")
        return str(document["Id"])


def image_document(client: DockerClient, image: str) -> Mapping[str, Any] | None:
    """The engine's document of an image, by tag or id; None if there is no such image."""
    with translated(f"inspect the image {image}"):
        try:
            document: Mapping[str, Any] = client.api.inspect_image(image)  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None
    return document


def _failure(tag: str, output: BuildOutput) -> BuildError:
    number, _, command = output.step.partition(" : ")
    shown = " ".join(command.split())[:_COMMAND_LENGTH]
    lines = "\n".join(output.last_lines)
    return BuildError(
        f"the image {tag} did not build: step {number} failed: {shown}",
        hint=_hint(lines),
        detail=f"{lines}\n{output.error}".strip(),
    )


def _hint(lines: str) -> str:
    if any(sign in lines for sign in _CERTIFICATE_SIGNS):
        return "if your network has its own certificate authority, set ca_bundle in [site]"
    if any(sign in lines for sign in _NETWORK_SIGNS):
        return "a server did not answer; set mirrors and proxies in [site]"
    missing = missing_versions(lines)
    if missing:
        words = ", ".join(one.words for one in missing)
        return f"the registries here do not serve {words}; set registries in [site]"
    return "these are the step's last lines; the complete output is in the build log"


def _remove_untagged(client: DockerClient, images: list[str]) -> None:
    """Remove the last layers of build stages, and with them the untagged layers below."""
    for image in images:
        if not image:
            continue
        document = image_document(client, image)
        if document is None or document.get("RepoTags"):
            continue
        with translated("remove the layers of an image build"):
            try:
                client.api.remove_image(image)
            except APIError as error:
                # Removed already, or another image is built on it.
                if error.status_code not in {404, 409}:
                    raise
