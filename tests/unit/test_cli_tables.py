"""Sizes and ages as a person reads them."""

from __future__ import annotations

import pytest

from loadgenctl.formatting import age, moment, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (200 * 1024, "200 KiB"),
        (1010 * 1024, "1.0 MiB"),
        (849 * 1024**2, "849 MiB"),
        (1.5 * 1024**3, "1.5 GiB"),
        (3000 * 1024**4, "3000 TiB"),
    ],
)
def test_size(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute"),
        (3599, "59 minutes"),
        (3600, "1 hour"),
        (86400 * 2.9, "2 days"),
    ],
)
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_a_moment_that_is_not_known_is_empty() -> None:
    assert moment(None) == ""
    assert len(moment(1700000000)) == len("2023-11-14 22:13")
