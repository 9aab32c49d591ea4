"""Debian's package sources: which mirror this machine uses, and what an image's list says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

DEFAULT_MIRROR = "http://deb.debian.org/debian"
DEFAULT_SECURITY = "http://deb.debian.org/debian-security"

_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+\S")
_FIELD = re.compile(r"^(URIs|Suites|Types|Enabled):\s*(.*)$", re.IGNORECASE)
_PROXY = re.compile(r'^Acquire::(https?)::Proxy\s+"([^"]+)";', re.MULTILINE | re.IGNORECASE)


def find_mirror(sources: Iterable[str]) -> str | None:
    """The first Debian mirror that source lists of either format name; None if there is none."""
    for text in sources:
        for uri in _uris(text):
            if uri.startswith(("http://", "https://")) and uri.rstrip("/").endswith("/debian"):
                return uri.rstrip("/")
    return None


def _uris(text: str) -> Iterable[str]:
    for line in text.splitlines():
        found = _ONE_LINE.match(line.strip())
        if found:
            yield found[1]
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            match[1].lower(): match[2].split()
            for line in stanza.splitlines()
            if (match := _FIELD.match(line))
        }
        if "deb" in fields.get("types", []) and fields.get("enabled") not in (["no"], ["false"]):
            yield from fields.get("uris", [])


def find_proxies(dump: str) -> dict[str, str]:
    """Proxy variables from the output of `apt-config dump`."""
    return {
        f"{scheme.lower()}_proxy": url
        for scheme, url in _PROXY.findall(dump)
        if url.upper() != "DIRECT"
    }


def sources_list(suite: str, mirror: str = DEFAULT_MIRROR, *, updates: bool = False) -> str:
    """An image's /etc/apt/sources.list. `updates`: also what was published after the release."""
    lines = [f"deb {mirror} {suite} main"]
    if updates:
        lines += [
            f"deb {mirror} {suite}-updates main",
            f"deb {DEFAULT_SECURITY} {suite}-security main",
        ]
    return "\n".join(lines) + "\n"
