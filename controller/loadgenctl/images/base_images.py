"""The Debian image below all others: found, pulled if a registry answers, or bootstrapped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from docker import DockerClient

from loadgenctl.building.site import SiteSettings
from loadgenctl.engines.docker_errors import BROKEN_STREAM, explanation, translated
from loadgenctl.errors import BuildError
from loadgenctl.images.debootstrap import Bootstrap
from loadgenctl.images.image_build import (
    DOCKERFILE,
    BuildContext,
    ContextFile,
    build_image,
    image_document,
)

LABEL = "io.loadgenctl.image"
"""On all our images: the name without the tag."""
REPOSITORY = "loadgenctl/base"
UPSTREAM = "debian:{suite}-slim"
PULL_PATIENCE = 15.0
"""Time limit, in seconds, for a registry to begin to answer."""
_PULL_TIMEOUT = 600.0
"""Time limit, in seconds, for pulling an image of 30 MB."""


class Bases:
    """Base images by Debian suite, under the same name from any source.

    So the hash of images built on them does not depend on the source.
    """

    def __init__(
        self,
        client: DockerClient,
        bootstrap: Bootstrap,
        site: SiteSettings,
        *,
        repository: str = REPOSITORY,
        upstream: str = UPSTREAM,
    ) -> None:
        """`upstream` is the image to pull; `{suite}` in it is replaced."""
        self._client = client
        self._bootstrap = bootstrap
        self._site = site
        self._repository = repository
        self._upstream = upstream
        self._registry_answers = True
        """False once a registry did not answer: then this process does not try again."""

    def tag(self, suite: str) -> str:
        """The tag of the suite's base image, which may not exist yet."""
        return f"{self._repository}:{suite}"

    def present(self, tag: str) -> bool:
        """True if the engine has it."""
        return image_document(self._client, tag) is not None

    def make(self, suite: str, on_line: Callable[[str], None]) -> None:
        """Make the suite's base image unless it exists. Raises `BuildError`."""
        tag, upstream = self.tag(suite), self._upstream.format(suite=suite)
        if self.present(tag):
            return
        if self.present(upstream) or self._pull(upstream, on_line):
            on_line(f"the base image {tag} is made from {upstream}")
            self._adopt(upstream, suite, on_line)
            return
        with self._bootstrap.archive(suite, upstream, on_line) as archive:
            on_line(f"importing the base image {tag}")
            self._import(str(archive), suite)

    def _labels(self) -> dict[str, str]:
        return {LABEL: self._repository}

    def _adopt(self, upstream: str, suite: str, on_line: Callable[[str], None]) -> None:
        """Give a pulled image our name and label."""
        context = BuildContext({DOCKERFILE: ContextFile(f"FROM {upstream}\n".encode())})
        build_image(
            self._client,
            context,
            self.tag(suite),
            labels=self._labels(),
            build_args=self._site.proxies(),
            mask=self._site.mask(),
            on_line=on_line,
        )

    def _import(self, archive: str, suite: str) -> None:
        changes = [f"LABEL {name}={value}" for name, value in self._labels().items()]
        with translated(f"import the image {self.tag(suite)}"):
            answer = self._client.api.import_image_from_file(
                archive,
                repository=self._repository,
                tag=suite,
                changes=[
                    'CMD ["bash"]',
                    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    *changes,
                ],
            )
        if not self.present(self.tag(suite)):
            raise BuildError(f"the engine did not take the image {self.tag(suite)}: {answer}")

    def _pull(self, image: str, on_line: Callable[[str], None]) -> bool:
        """Pull; False if no registry begins to answer in time or the pull is interrupted."""
        if not self._registry_answers:
            return False
        on_line(f"pulling {image}")
        pull = _Pull(self._client, image)
        if not pull.begun.wait(PULL_PATIENCE) or not pull.ended.wait(_PULL_TIMEOUT):
            reason = f"no answer within {PULL_PATIENCE:g} s"
        elif pull.error is None and self.present(image):
            return True
        else:
            reason = pull.error or "it did not arrive"
        self._registry_answers = False
        on_line(f"{image} cannot be pulled: {reason}")
        return False


class _Pull:
    """A pull in its own thread: the engine has no time limit for a silent registry."""

    def __init__(self, client: DockerClient, image: str) -> None:
        """Begin."""
        self._client = client
        self._image = image
        self.begun = threading.Event()
        """Set once the registry has answered, or the pull has ended."""
        self.ended = threading.Event()
        self.error: str | None = None
        threading.Thread(target=self._run, name=f"pull-{image}", daemon=True).start()

    def _run(self) -> None:
        repository, _, tag = self._image.rpartition(":")
        try:
            for document in self._client.api.pull(repository, tag=tag, stream=True, decode=True):
                self._see(document)
        except BROKEN_STREAM as error:
            self.error = explanation(error)
        finally:
            self.ended.set()
            self.begun.set()

    def _see(self, document: Mapping[str, Any]) -> None:
        if "error" in document:
            self.error = str(document["error"])
        elif "id" in document:
            self.begun.set()
