"""Which addresses are accepted, and for what. Pure.

A network's origin decides which chain a run follows, so it is read by HTTPS, or from this machine.
An origin in a folder may also name servers of a private network (such as one of Docker's), which
speak plain HTTP. A git address must not be an option or a command for git. A registry's URL is
written into Dockerfiles and scripts. A node's address is written into configuration files.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from loadgenctl.errors import UsageError
from loadgenctl.masking import mask_address, userinfo_length

HINT: Final = "give an https URL, an http URL of this machine's loopback, or a folder"
_PRIVATE: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
)
"""Networks that no router of the internet leads to (RFC 1918, 4193, 4291)."""
_GIT_SCHEMES: Final = frozenset({"https", "http", "ssh", "git"})
_SCP: Final = re.compile(r"(?P<user>[A-Za-z0-9._-]+@)?(?P<host>[A-Za-z0-9._-]+):(?P<path>(?!//).+)")
_LONGEST_ADDRESS: Final = 1000
_PLAIN_HTTP: Final = re.compile(r"https?://[A-Za-z0-9._~:/?@!*+,=%\[\]-]+")
"""Without characters that mean something to a shell, to sed or in a Dockerfile."""
_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])"
_PEER: Final = re.compile(
    rf"(?:tcp://)?[0-9a-f]{{40}}@(?P<host>{_HOST}):(?P<port>\d{{1,5}})", re.ASCII
)
_RPC: Final = re.compile(
    rf"(?:(?:https?|tcp)://)?(?P<host>{_HOST})(?::(?P<port>\d{{1,5}}))?(?:/[\w./-]*)?",
    re.ASCII,
)


def origin_of(text: str, cwd: Path) -> str:
    """A network's origin as typed, as an absolute path or a URL without a slash at its end.

    Raises `UsageError`.
    """
    if "://" not in text:
        return str((cwd / Path(text).expanduser()).resolve())
    parts = _split(text)
    if parts.scheme == "file":
        path = _path_here(parts)
        if path is None:
            raise UsageError(f"{_shown(text)} does not name a folder of this machine", hint=HINT)
        return str(Path(unquote(path)).resolve())
    require_allowed(text)
    if parts.query or parts.fragment:
        raise UsageError(f"{_shown(text)}: an origin ends with its path", hint=HINT)
    return text.rstrip("/")


def require_allowed(url: str, *, private: bool = False) -> None:
    """Check that a run may read a URL: HTTPS, or HTTP on loopback. Raises `UsageError`.

    `private`: HTTP also at an address of a private network.
    """
    parts = _split(url)
    if has_credentials(url):
        raise UsageError("a URL with a name and a password in it is not used", hint=HINT)
    host = parts.hostname or ""
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and (is_loopback(host) or (private and is_private(host))):
        return
    why = "is not encrypted" if parts.scheme == "http" else "cannot be read by a run"
    raise UsageError(f"{_shown(url)} {why}", hint=HINT)


def is_loopback(host: str) -> bool:
    """True for a name or address at which only this machine answers."""
    if host.lower() == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """True for an address of a private network; a name may lead anywhere."""
    address = _address(host)
    return address is not None and any(address in network for network in _PRIVATE)


def has_credentials(url: str) -> bool:
    """True for a URL with a user, a password or both."""
    return userinfo_length(url.partition("://")[2]) > 0


def git_address(text: str) -> tuple[str, str]:
    """A repository's address as git takes it, and the same without credentials.

    A path is made absolute. Raises `UsageError` for anything that git could take for something
    else: an option, a command to run, a path where a password has a `/`.
    """
    require_printable(text, "repository")
    if text.startswith("-") or "::" in text.split("/", 1)[0]:
        raise _no_repository(text)
    if "://" in text:
        return _git_url(text)
    if text.startswith(("/", "./", "../", "~/")) or text in {".", ".."}:
        path = str(Path(text).expanduser().resolve())
        return path, path
    found = _SCP.fullmatch(text)
    # `user:password@host` looks like a host and a path, and would be shown as it is.
    if found is None or "@" in found["path"] or found["host"].startswith("-"):
        raise _no_repository(text)
    return text, text


def _git_url(text: str) -> tuple[str, str]:
    parts = _parts(text)
    if parts is None:
        raise _no_repository(text)
    if parts.scheme == "file" and (path := _path_here(parts)) is not None:
        return f"file://{path}", f"file://{path}"
    host = parts.hostname or ""
    if parts.scheme not in _GIT_SCHEMES or not host or not parts.path:
        raise _no_repository(text)
    # With a `/` in the password git would take the rest of it for a path, and show it.
    cut = userinfo_length(text.partition("://")[2]) > len(parts.netloc)
    if cut or host.startswith("-") or parts.netloc.startswith("-"):
        raise _no_repository(text)
    netloc = parts.netloc.rpartition("@")[2]
    return text, urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def is_git_prefix(text: str) -> bool:
    """True for the beginning of a git address: `SCHEME://…`, or `USER@HOST:PATH` of ssh."""
    if text.startswith("-") or '"' in text or "\\" in text:
        # Neither an option for git nor an end of the quotes in its configuration.
        return False
    before, colon, after = text.partition(":")
    if ":" in after.partition("/")[0]:
        return False  # `ext::…` runs commands
    return bool(colon) and (after.startswith("//") or ("@" in before and "/" not in before))


def is_plain_http(text: str) -> bool:
    """True for an HTTP or HTTPS URL that a Dockerfile and a shell script take as it is."""
    return _PLAIN_HTTP.fullmatch(text) is not None and _parts(text) is not None


def peer_host(address: str) -> str | None:
    """The host of a node's address to peers, `[tcp://]NODE-ID@HOST:PORT`; None if it is none."""
    return _host_of(_PEER, address)


def rpc_host(address: str) -> str | None:
    """The host of an RPC server, `[SCHEME://]HOST[:PORT][/PATH]`; None if it is none."""
    return _host_of(_RPC, address)


def rpc_url(address: str) -> str:
    """An RPC server's address as a URL without a slash at its end."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return f"http://{address}".rstrip("/")
    return f"{'http' if scheme == 'tcp' else scheme}://{rest}".rstrip("/")


def require_printable(text: str, what: str) -> None:
    """Raise `UsageError` for a text that is empty, too long, or holds control characters."""
    if not text or len(text) > _LONGEST_ADDRESS or not text.isprintable():
        shown = mask_address(text)[:60]
        raise UsageError(
            f"the {what} {shown!r} is empty, too long or contains control characters",
            hint=f"check how the {what} was given",
        )


def _host_of(form: re.Pattern[str], address: str) -> str | None:
    found = form.fullmatch(address)
    return found["host"] if found and 0 < int(found["port"] or 1) < 65536 else None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _path_here(parts: SplitResult) -> str | None:
    """The path of a `file` URL; None for one of another machine, or without an absolute path."""
    here = parts.netloc in {"", "localhost"} and parts.path.startswith("/")
    return parts.path if here else None


def _parts(url: str) -> SplitResult | None:
    """The parts of a URL; None for what is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return None
    return parts


def _split(url: str) -> SplitResult:
    parts = _parts(url)
    if parts is None:
        # Without the reason: it quotes what is in the port's place, which may be a password.
        raise UsageError(f"{_shown(url)} is not a URL", hint=HINT)
    return parts


def _no_repository(text: str) -> UsageError:
    # Masked before it is cut: what is left of a password has no @ behind it.
    shown = mask_address(text)[:80]
    hint = "give https://HOST/PATH, ssh://HOST/PATH, user@host:path, or a path from / or ./"
    if "@" in text:
        hint += "; in a password write / as %2F, ? as %3F, # as %23"
    elif Path(text).is_dir():
        hint = f"the folder of that name is ./{shown}"
    return UsageError(f"{shown!r} is not an address of a git repository", hint=hint)


def _shown(text: str) -> str:
    """For a message: on one line, short, without what may be a password."""
    return ascii(mask_address(text)[:120])[1:-1]
