"""The part of protobuf's wire format that transactions and queries of the chain use."""

from __future__ import annotations

from typing import Dict, List, Tuple, Union

Value = Union[int, bytes]
BYTES = 2
"""Wire type of strings, bytes and messages."""


def varint(number: int) -> bytes:
    """A number, seven bits at a time."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(*fields: Tuple[int, Union[int, str, bytes]]) -> bytes:
    """Fields in order; zero and the empty string are left out, as in proto3.

    A message within the message is bytes and stays even if it is empty.
    """
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            if value:
                out += varint(number << 3) + varint(value)
        elif value != "":
            data = value.encode("utf-8") if isinstance(value, str) else value
            out += varint(number << 3 | BYTES) + varint(len(data)) + data
    return out


def parse(data: bytes) -> Dict[int, List[Value]]:
    """Field number → its values in order. Raises ValueError for bytes that are not a message."""
    fields: Dict[int, List[Value]] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: Value
        if tag & 7 == 0:
            value, at = _varint(data, at)
        elif tag & 7 == BYTES:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field is cut off")
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {tag & 7} is not expected here")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(data: bytes, at: int) -> Tuple[int, int]:
    number, shift = 0, 0
    while at < len(data):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("a number is cut off")
