"""Where a network is described: a URL or a folder, and which URLs may be asked at all. Pure.

What is read there decides which chain is followed, so it comes encrypted, or from this machine. Who
describes a network in a folder of this machine may also name servers of a private network, such as
one of Docker's, which speak plain http.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from loadgenctl.errors import UsageError
from loadgenctl.masking import mask_address, userinfo_length

HINT = "give an https URL, an http URL of this machine's loopback, or a folder"
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
)
"""Networks that no router of the internet leads to (RFC 1918, 4193, 4291)."""


def origin_of(text: str, cwd: Path) -> str:
    """An origin as it was typed, as an absolute path or a URL without a slash at its end.

    Raises `UsageError`.
    """
    if "://" not in text:
        return str((cwd / Path(text).expanduser()).resolve())
    parts = _split(text)
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise UsageError(f"{_shown(text)} does not name a folder of this machine", hint=HINT)
        return str(Path(unquote(parts.path)).resolve())
    require_allowed(text)
    if parts.query or parts.fragment:
        raise UsageError(f"{_shown(text)}: an origin ends with its path", hint=HINT)
    return text.rstrip("/")


def require_allowed(url: str, *, private: bool = False) -> None:
    """See that a URL may be asked: https, or http on loopback. Raises `UsageError`.

    `private`: http also at an address of a private network.
    """
    parts = _split(url)
    if userinfo_length(url.partition("://")[2]):
        raise UsageError("a URL with a name and a password in it is not used", hint=HINT)
    host = parts.hostname or ""
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and (is_loopback(host) or (private and is_private(host))):
        return
    why = "is not encrypted" if parts.scheme == "http" else "cannot be asked"
    raise UsageError(f"{_shown(url)} {why}", hint=HINT)


def is_loopback(host: str) -> bool:
    """True for a name or address that only this machine itself answers at."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """True for an address of a private network; a name may lead anywhere."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        # Not why: that tells what stands where a port would, and it may be a password.
        raise UsageError(f"{_shown(url)} is no URL", hint=HINT) from error
    return parts


def _shown(text: str) -> str:
    """For a message: on one line, short, without what may be a password."""
    return ascii(mask_address(text)[:120])[1:-1]
