"""Debian's package sources: which mirror and which proxies this machine uses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+\S")
_FIELD = re.compile(r"^(URIs|Suites|Types|Enabled):\s*(.*)$", re.IGNORECASE)
_DEFAULT = re.compile(r"""^DEF_MIRROR=["']?([^"'\s]+)""", re.MULTILINE)
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


def default_mirror(debootstrap: str) -> str | None:
    """The mirror that the program debootstrap, given as its text, uses when none is named."""
    found = _DEFAULT.search(debootstrap)
    return found[1] if found else None


def renamed(sources: str, mirror: str) -> str:
    """A one-line source list with another mirror in every entry."""
    return re.sub(
        r"^(deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?)\S+", rf"\g<1>{mirror}", sources, flags=re.MULTILINE
    )
