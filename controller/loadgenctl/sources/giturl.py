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
"""The site's rule: a repository's address → the address (or local path) to use in its place."""


@dataclass(frozen=True, slots=True)
class Repository:
    """An accepted repository address."""

    url: str
    """As git takes it; may hold credentials, never to be shown."""
    public: str
    """The same without credentials, for people and records."""

    @property
    def local(self) -> Path | None:
        """The folder, when the repository is on this machine's disk."""
        return local_path(self.url)

    @property
    def slug(self) -> str:
        """A folder name for its mirror: a readable part and a hash of the public address."""
        return slug_of(self.public)


def slug_of(public: str) -> str:
    """A folder name for what belongs to a repository, by its address without credentials."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", public.removesuffix(".git"))[-40:].strip("-")
    digest = hashlib.sha256(public.encode()).hexdigest()[:12]
    return f"{stem or 'repository'}-{digest}"


def local_path(url: str) -> Path | None:
    """The path behind a `file://` address or a plain path; None for everything else."""
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return Path(url) if url.startswith("/") else None


def without_credentials(text: str) -> str:
    """An address as it was typed, fit to be shown, whether or not it is one that is accepted."""
    return mask_addresses(text, "")


def parse_repository(text: str) -> Repository:
    """Accept an address or a path. `UsageError` for anything git could take for something else."""
    return Repository(*git_address(text))


def parse_submodule(text: str, parent: Repository) -> Repository:
    """The address in a `.gitmodules`: never a path of this machine unless the parent is one too."""
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
    """What the site puts in the repository's place, checked in the same way."""
    target = rewrite(repository.url)
    return repository if target == repository.url else parse_repository(target)


def check_revision(text: str) -> str:
    """What may be a commit id, tag or branch; `UsageError` for options and expressions."""
    require_printable(text, "revision")
    if text.startswith("-") or len(text) > 250:
        raise UsageError(
            f"{text[:60]!r} cannot be a revision", hint="give a commit id, a tag or a branch"
        )
    bad = re.search(r"[\s~^:?*\[\\]|\.\.|@\{|//", text)
    if bad or text.endswith(("/", ".", ".lock")) or text.startswith(("/", ".")) or text == "@":
        raise UsageError(
            f"{text!r} is not a commit id, tag or branch",
            hint="expressions like HEAD~3 are not understood: give the commit id itself",
        )
    return text
