"""Repository addresses and revision names as people type them, checked before git sees them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadgenctl.errors import UsageError
from loadgenctl.masking import mask_addresses
from loadgenctl.urls import git_address, require_printable

RewriteGit = Callable[[str], str]
"""The site's rule: a repository's address → the address (or local path) to use instead."""


@dataclass(frozen=True, slots=True)
class Repository:
    """An accepted repository address."""

    url: str
    """As git takes it; may contain credentials: never show it."""
    public: str
    """The same without credentials, for people and records."""

    @property
    def local(self) -> Path | None:
        """The folder, when the repository is on this machine's disk."""
        if self.url.startswith(("/", "file://")):
            return Path(self.url.removeprefix("file://"))
        return None

    @property
    def slug(self) -> str:
        """A folder name for its mirror: a readable part and a hash of the public address."""
        return slug_of(self.public)


def slug_of(public: str) -> str:
    """A folder name for what belongs to a repository, by its address without credentials."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", public.removesuffix(".git"))[-40:].strip("-")
    digest = hashlib.sha256(public.encode()).hexdigest()[:12]
    return f"{stem or 'repository'}-{digest}"


def without_credentials(text: str) -> str:
    """An address as typed, accepted or not, so that it may be shown."""
    return mask_addresses(text, "")


def parse_repository(text: str) -> Repository:
    """An address or a path, checked by `git_address`. Raises `UsageError`."""
    return Repository(*git_address(text))


def parse_submodule(text: str, parent: Repository) -> Repository:
    """An address in a `.gitmodules`: a path of this machine only if the parent is one too.

    Raises `UsageError`.
    """
    if text.startswith(("./", "../")):
        require_printable(text, "submodule's repository")
        return parse_repository(_join(parent.url, text))
    found = parse_repository(text)
    if found.local is not None:
        raise UsageError(
            f"the SDK names a folder of this machine as a submodule's repository: {text!r}",
            hint="map its real address to the folder in the site settings instead",
        )
    return found


def _join(base: str, relative: str) -> str:
    head = base.rstrip("/")
    rest = relative
    while True:
        if rest.startswith("./"):
            rest = rest[2:]
        elif rest.startswith("../"):
            cut = max(head.rfind("/"), head.rfind(":"))
            if cut < 0 or head[:cut].endswith((":", "/")):
                raise UsageError(f"the SDK's submodule address {relative!r} leads nowhere")
            head, rest = head[:cut], rest[3:]
        else:
            return f"{head}/{rest}"


def rewritten(repository: Repository, rewrite: RewriteGit) -> Repository:
    """The site's replacement of the repository, checked in the same way."""
    target = rewrite(repository.url)
    return repository if target == repository.url else parse_repository(target)


def check_revision(text: str) -> str:
    """A commit id, tag or branch. Raises `UsageError` for options and expressions."""
    require_printable(text, "revision")
    if text.startswith("-") or len(text) > 250:
        raise UsageError(
            f"{text[:60]!r} cannot be a revision", hint="give a commit id, a tag or a branch"
        )
    bad = re.search(r"[\s~^:?*\[\\]|\.\.|@\{|//", text)
    if bad or text.endswith(("/", ".", ".lock")) or text.startswith(("/", ".")) or text == "@":
        raise UsageError(
            f"{text!r} is not a commit id, tag or branch",
            hint="expressions like HEAD~3 are not supported: give the commit id itself",
        )
    return text
