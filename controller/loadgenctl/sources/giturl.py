"""Repository addresses and revision names as people type them, checked before git sees them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from loadgenctl.errors import UsageError
from loadgenctl.masking import mask_address, mask_addresses, userinfo_length

RewriteGit = Callable[[str], str]
"""The site's rule: a repository's address → the address (or local path) to use in its place."""

_SCHEMES = frozenset({"https", "http", "ssh", "git", "file"})
_SCP = re.compile(r"(?P<user>[A-Za-z0-9._-]+@)?(?P<host>[A-Za-z0-9._-]+):(?P<path>(?!//).+)")
_MAX_LENGTH = 1000


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
    refuse_unprintable(text, "repository")
    if text.startswith("-") or "::" in text.split("/", 1)[0]:
        raise _refused(text)
    if "://" in text:
        return _parse_url(text)
    if text.startswith(("/", "./", "../", "~/")) or text in {".", ".."}:
        path = str(Path(text).expanduser().resolve())
        return Repository(path, path)
    match = _SCP.fullmatch(text)
    if match is None or match["host"].startswith("-") or (match["user"] or "").startswith("-"):
        raise _refused(text)
    if "@" in match["path"]:
        # `user:password@host` looks like a host and a path, and would be shown as it is.
        raise _refused(text)
    return Repository(text, text)


def _parse_url(text: str) -> Repository:
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise _refused(text) from error
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise _refused(text)
        return Repository(f"file://{parts.path}", f"file://{parts.path}")
    if parts.scheme not in _SCHEMES or not host or host.startswith("-") or not parts.path:
        raise _refused(text)
    if parts.netloc.startswith("-"):
        raise _refused(text)
    if userinfo_length(text.partition("://")[2]) > len(parts.netloc):
        # The password has a `/`: git would take it for a path, and so would who shows the address.
        raise _refused(text)
    netloc = parts.netloc.rpartition("@")[2]
    public = urlunsplit((parts.scheme, netloc, parts.path, "", ""))
    return Repository(text, public)


def parse_submodule(text: str, parent: Repository) -> Repository:
    """The address in a `.gitmodules`: never a path of this machine unless the parent is one too."""
    if text.startswith(("./", "../")):
        refuse_unprintable(text, "submodule's repository")
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
    refuse_unprintable(text, "revision")
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


def refuse_unprintable(text: str, what: str) -> None:
    """`UsageError` when a person could not have meant this text."""
    if not text or len(text) > _MAX_LENGTH or not text.isprintable():
        shown = mask_address(text)[:60]
        raise UsageError(
            f"the {what} {shown!r} is empty, too long or contains control characters",
            hint=f"check how the {what} was given",
        )


def _refused(text: str) -> UsageError:
    # Before it is cut: what is left of a password has no @ behind it.
    shown = mask_address(text)[:80]
    hint = "give https://HOST/PATH, ssh://HOST/PATH, user@host:path, or a path from / or ./"
    if "@" in text:
        hint += "; in a password write / as %2F, ? as %3F, # as %23"
    elif Path(text).is_dir():
        hint = f"the folder of that name is ./{shown}"
    return UsageError(f"{shown!r} is not an address of a git repository", hint=hint)
