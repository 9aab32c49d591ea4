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
from urllib.parse import quote, unquote

MASK: Final = "***"

_SCHEME: Final = r"(?:[A-Za-z][A-Za-z0-9+.-]{0,30}:?(?://|\\\\)|https?:[/\\])"
"""Also without its colon or one slash, or with backslashes: slips of the hand.
The length is bounded, so that a long word takes no time by the square."""
_ADDRESS: Final = re.compile(rf"(?P<scheme>{_SCHEME})(?P<rest>[^\s\"'<>|]*)")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(?::\d*)?|\[[0-9A-Fa-f:.]+\](?::\d*)?")
_SURE_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b|localhost\b|\d+\.\d+\.\d+\.\d+\b|\[[0-9A-Fa-f:.]+\]"
)
"""What a path hardly has behind an `@`, as versions (`@v1.2.3`) and scopes (`@scope/name`) are."""
_SECRET_NAME: Final = re.compile(
    r"token|secret|passw|credential|auth|api_?key|private", re.IGNORECASE
)
_SHORTEST: Final = 6
"""Characters; a shorter one would be found in words that tell nothing."""


def mask_addresses(text: str, mask: str = f"{MASK}@") -> str:
    """`https://user:word@host/x` → `https://***@host/x`, wherever it stands in a text."""
    if "@" not in text:
        return text

    def masked(found: re.Match[str]) -> str:
        rest = found["rest"]
        return found["scheme"] + mask_before(rest, mask)

    return _ADDRESS.sub(masked, text)


def mask_address(text: str) -> str:
    """The same for a text that is one address as it was typed, well-formed or not."""
    head, at, host = text.rpartition("@")
    scheme = re.match(_SCHEME, head)
    return f"{scheme[0] if scheme else ''}{MASK}@{host}" if at else text


def mask_before(rest: str, mask: str) -> str:
    """What comes behind an address's `//`, with `mask` in place of user and password."""
    length = userinfo_length(rest)
    return mask + rest[length:] if length else rest


def userinfo_length(rest: str) -> int:
    """How much of what comes behind an address's `//` is user and password, with their `@`.

    A password may hold `/`, `?`, `#` and `@` as they are, and a path may hold `@`: in doubt it is
    the password. 0 without any.
    """
    head = re.split("[/?#]", rest, maxsplit=1)[0]
    end = rest.rfind("@") + 1
    # `user:12/34@host` looks like a host and a port, which have a dot in most cases.
    sure = "." in head or ":" not in head or head.startswith(("localhost", "["))
    is_host = _HOST.fullmatch(head) is not None and sure
    return 0 if is_host and not _SURE_HOST.match(rest, end) else end


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
    """The password, or what stands alone in its place, as written, as sent and as encoded."""
    scheme, separator, rest = address.partition("://")
    # A proxy may be written without a scheme.
    rest = rest if separator else scheme
    length = userinfo_length(rest) if separator else rest.rfind("@") + 1
    if length:
        user, colon, password = rest[: length - 1].partition(":")
        secret = password if colon else user
        plain = unquote(secret)
        yield from (secret, plain, quote(plain, safe=""), quote(plain))
