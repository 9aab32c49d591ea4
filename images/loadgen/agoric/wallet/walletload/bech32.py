"""Addresses (BIP 173): their text decoded to bytes."""

from __future__ import annotations

from .errors import LoadError

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
CHECKSUM = 6
"""Characters at the end; the tool that wrote the address made them, and the chain checks owners."""


def decode(address: str) -> bytes:
    """An address's bytes, its checksum not checked. Raises LoadError."""
    _, separator, data = address.rpartition("1")
    if not separator or len(data) <= CHECKSUM or any(c not in ALPHABET for c in data):
        raise LoadError(f"{address!r} is not an address")
    number, bits = 0, 0
    out = bytearray()
    for character in data[:-CHECKSUM]:
        number = (number << 5) | ALPHABET.index(character)
        bits += 5
        if bits >= 8:
            bits -= 8
            out.append(number >> bits & 0xFF)
    return bytes(out)
