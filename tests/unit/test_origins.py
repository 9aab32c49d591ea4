"""Which origins there are, and which URLs may be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.origins import origin_of, require_allowed

CWD = Path("/here")


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("https://testnet.example.org", "https://testnet.example.org"),
        ("https://example.org/networks/one/", "https://example.org/networks/one"),
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ("http://localhost:8001/", "http://localhost:8001"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("origin", "/here/origin"),
        ("../origin", "/origin"),
        ("/srv/origin/", "/srv/origin"),
        ("file:///srv/an%20origin", "/srv/an origin"),
        ("file://localhost/srv", "/srv"),
    ],
)
def test_an_origin_is_a_url_or_a_folder(typed: str, origin: str) -> None:
    assert origin_of(typed, CWD) == origin


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("http://testnet.example.org", "is not encrypted"),
        ("http://127.0.0.1.example.org", "is not encrypted"),
        ("http://127.0.0.1@example.org", "a name and a password"),
        ("https://me:secret@example.org", "a name and a password"),
        ("ftp://example.org", "cannot be asked"),
        ("https://", "cannot be asked"),
        ("https://example.org:port", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://example.org/?next=1", "ends with its path"),
        ("file://elsewhere/srv", "does not name a folder"),
    ],
)
def test_what_may_not_be_asked_is_refused_without_a_password_in_the_message(
    typed: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        origin_of(typed, CWD)
    assert "secret" not in refused.value.message
    assert refused.value.hint


def test_a_redirect_is_held_to_the_same_rules() -> None:
    require_allowed("https://example.org/?a=b#c")
    with pytest.raises(UsageError):
        require_allowed("file:///etc/passwd")
