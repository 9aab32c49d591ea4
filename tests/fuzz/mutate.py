"""Changes that keep a text's form, so that an input comes further than to the parser.

A change of a byte turns a line of JSON into none nearly every time. These put another value into a
field, leave one out, or take a line away, twice, or elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

ODD: Final[tuple[str, ...]] = (
    *("null", "true", "false", "0", "-1", "1", "1.5", "-0.0", "5e-324", "1e308", "-1e308", "1e400"),
    *("NaN", "Infinity", "1e12", "1e15", "9007199254740993", "18446744073709551615"),
    *("18446744073709551616", "-9223372036854775808", "1000000", "1" + "0" * 5000),
    *('""', '"x"', '"1"', '"1e400"', '"\\u001b[31m\\u009b2J\\u202e"', '"\\u0000"', '"\\ud800"'),
    *('"²"', '"stage²"', '"' + "x" * 500 + '"', '"[bold]"', '"../../etc/passwd"'),
    *("[]", "{}", "[null]", "[[]]", '[{"a":1}]', '{"a":null}', '{"":{}}', '["ok",null,{}]'),
    "[" * 90 + "]" * 90,
    "[" * 400 + "]" * 400,
    '{"a":' * 1000 + "1" + "}" * 1000,
)
"""Values as they stand in JSON; some are none."""

_PLACE: Final = "\ue000"
_Place = tuple[Any, Any]
"""A container and the key or index in it."""


def lines(data: bytes, seed: int, *, rows: bytes = b"\n") -> bytes:
    """Change some lines of a text; those that are JSON in a field, or as wholes."""
    random = Random(seed)
    found = data.split(rows)
    for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
        place = random.randrange(len(found))
        what = random.random()
        if what < 0.75:
            found[place] = _changed(found[place], random)
        elif what < 0.85:
            found.insert(random.randrange(len(found)), found[place])
        elif what < 0.95 and len(found) > 1:
            del found[place]
        else:
            found[place] = _cut(found[place], random)
    return rows.join(found)


def words(data: bytes, seed: int, pool: tuple[str, ...]) -> bytes:
    """Change a list of words, divided by NUL: others take their places, or come between."""
    random = Random(seed)
    found = data.split(b"\0")
    for _ in range(random.choice((1, 1, 2, 4))):
        place, word = random.randrange(len(found)), random.choice(pool).encode("utf-8", "replace")
        what = random.random()
        if what < 0.4:
            found[place] = word
        elif what < 0.7:
            found.insert(place, word)
        elif what < 0.8 and len(found) > 1:
            del found[place]
        elif what < 0.9:
            found[place] = found[place] + random.choice((b"=", b".", b"")) + word
        else:
            found[place] = _cut(found[place], random)
    return b"\0".join(found)


def either(first: Callable[[bytes, int], bytes], second: Callable[[bytes, int], bytes]) -> Any:
    """One of the two, by the seed."""
    return lambda data, seed: (first if seed % 2 else second)(data, seed >> 1)


def _changed(line: bytes, random: Random) -> bytes:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return _cut(line, random)
    places = _places(value)
    odd = random.choice(ODD)
    if not places:
        return odd.encode()
    container, key = random.choice(places)
    if random.random() < 0.15:
        del container[key]
        return json.dumps(value, separators=(",", ":")).encode()
    container[key] = _PLACE
    # Put in as text: some of them no JSON writer would write.
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace(f'"{_PLACE}"', odd, 1).encode("utf-8", "replace")


def _places(value: Any) -> list[_Place]:
    found: list[_Place] = []
    open_ = [value]
    while open_ and len(found) < 500:
        container = open_.pop()
        if isinstance(container, dict | list):
            keys = list(container) if isinstance(container, dict) else list(range(len(container)))
            found += [(container, key) for key in keys]
            open_ += [container[key] for key in keys]
    return found


def _cut(text: bytes, random: Random) -> bytes:
    """Some bytes gone, doubled, or others."""
    if not text:
        return bytes([random.randrange(256)])
    start = random.randrange(len(text))
    end = min(len(text), start + random.choice((1, 1, 4, 16)))
    middle = random.choice((b"", text[start:end] * 2, bytes([random.randrange(256)])))
    return text[:start] + middle + text[end:]
