"""Taking credentials out of text that is shown or recorded: what was one reads `***`.

Two ways. Of an address everything between `://` and `@` goes, wherever it stands and whoever wrote
it: every error's text passes through that. What is known to be secret (passwords and tokens of the
site settings) goes by its value, from what builds print.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

MASK: Final = "***"

_USERINFO: Final = re.compile(r"(?<=://)[^/\s\"'<>|]*@")
_SECRET_NAME: Final = re.compile(
    r"token|secret|passw|credential|auth|api_?key|private", re.IGNORECASE
)
_SHORTEST: Final = 6
"""Characters; a shorter one would be found in words that tell nothing."""


def mask_addresses(text: str) -> str:
    """`https://user:word@host/x` → `https://***@host/x`."""
    return _USERINFO.sub(f"{MASK}@", text) if "://" in text else text


@dataclass(frozen=True, slots=True)
class Mask:
    """Takes certain secrets, and whatever addresses hold, out of texts."""

    secrets: tuple[str, ...] = ()
    """The longest first, so that one within another leaves nothing of it."""

    def __call__(self, text: str) -> str:
        """The text without them."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return mask_addresses(text)


def mask_of(addresses: Iterable[str | None], variables: Mapping[str, str]) -> Mask:
    """Hides what addresses hold before their `@`, and variables that are secrets by their name."""
    found: set[str] = set()
    for address in (*addresses, *variables.values()):
        found.update(_credentials(address or ""))
    found.update(value for name, value in variables.items() if _SECRET_NAME.search(name))
    return Mask(tuple(sorted((s for s in found if len(s) >= _SHORTEST), key=len, reverse=True)))


def _credentials(address: str) -> Iterator[str]:
    """The password, or what stands alone in its place, as written and as it is sent."""
    before, at, _ = address.partition("://")[2].partition("/")[0].rpartition("@")
    if not at and "://" not in address:
        # A proxy may be written without a scheme.
        before, at, _ = address.rpartition("@")
    if at:
        user, colon, password = before.partition(":")
        secret = password if colon else user
        yield from (secret, unquote(secret))
