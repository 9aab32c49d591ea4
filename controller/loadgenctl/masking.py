"""Masking credentials in text that is shown or recorded: each becomes `***`.

In addresses, everything between `://` and `@` is masked, in any text; every error's text passes
through that. Known secrets (passwords and tokens of the site settings) are masked by their value in
what builds print.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

MASK: Final = "***"

_SCHEME: Final = r"(?:[A-Za-z][A-Za-z0-9+.-]{0,30}:?(?://|\\\\)|https?:[/\\])"
"""Also without its colon or one slash, or with backslashes: typing errors.
The length is bounded, so that a long word does not take quadratic time."""
_ADDRESS: Final = re.compile(rf"(?P<scheme>{_SCHEME})(?P<rest>[^\s\"'<>|]*)")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(?::\d*)?|\[[0-9A-Fa-f:.]+\](?::\d*)?")
_SURE_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b|localhost\b|\d+\.\d+\.\d+\.\d+\b|\[[0-9A-Fa-f:.]+\]"
)
"""What a path rarely has behind an `@`, unlike versions (`@v1.2.3`) and scopes (`@scope/name`)."""
_SECRET_NAME: Final = re.compile(
    r"token|secret|passw|credential|auth|api_?key|private", re.IGNORECASE
)
_SHORTEST: Final = 6
"""Characters; a shorter secret would also match harmless words."""


def mask_addresses(text: str, mask: str = f"{MASK}@") -> str:
    """`https://user:word@host/x` → `https://***@host/x`, anywhere in a text."""
    if "@" not in text:
        return text

    def masked(found: re.Match[str]) -> str:
        rest = found["rest"]
        return found["scheme"] + mask_before(rest, mask)

    return _ADDRESS.sub(masked, text)


def mask_address(text: str) -> str:
    """The same for a text that is a single address as typed, well-formed or not."""
    head, at, host = text.rpartition("@")
    scheme = re.match(_SCHEME, head)
    return f"{scheme[0] if scheme else ''}{MASK}@{host}" if at else text


def mask_before(rest: str, mask: str) -> str:
    """The part of an address behind `//`, with `mask` in place of user and password."""
    length = userinfo_length(rest)
    return mask + rest[length:] if length else rest


def userinfo_length(rest: str) -> int:
    """Length of user and password, with their `@`, in the part of an address behind `//`.

    A password may contain `/`, `?`, `#` and `@` unescaped, and a path may contain `@`: in doubt it
    is the password. 0 without credentials.
    """
    head = re.split("[/?#]", rest, maxsplit=1)[0]
    end = rest.rfind("@") + 1
    # `user:12/34@host` looks like a host and a port; most hosts have a dot.
    sure = "." in head or ":" not in head or head.startswith(("localhost", "["))
    is_host = _HOST.fullmatch(head) is not None and sure
    return 0 if is_host and not _SURE_HOST.match(rest, end) else end


@dataclass(frozen=True, slots=True)
class Mask:
    """Masks given secrets, and the credentials in addresses."""

    secrets: tuple[str, ...] = ()
    """The longest first: one secret may be part of another."""

    def __call__(self, text: str) -> str:
        """The masked text."""
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return mask_addresses(text)


def mask_of(addresses: Iterable[str | None], variables: Mapping[str, str]) -> Mask:
    """Mask the credentials of addresses, and variables whose name says that they are secret."""
    found: set[str] = set()
    for address in (*addresses, *variables.values()):
        found.update(_credentials(address or ""))
    found.update(value for name, value in variables.items() if _SECRET_NAME.search(name))
    return Mask(tuple(sorted((s for s in found if len(s) >= _SHORTEST), key=len, reverse=True)))


def _credentials(address: str) -> Iterator[str]:
    """The password, or the user without one: as written, as sent and as encoded."""
    scheme, separator, rest = address.partition("://")
    # A proxy may be written without a scheme.
    rest = rest if separator else scheme
    length = userinfo_length(rest) if separator else rest.rfind("@") + 1
    if length:
        user, colon, password = rest[: length - 1].partition(":")
        secret = password if colon else user
        plain = unquote(secret)
        yield from (secret, plain, quote(plain, safe=""), quote(plain))
