"""Which origins there are, and which URLs may be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.origins import is_private, origin_of, require_allowed

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


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("172.17.0.2", True),
        ("172.32.0.2", False),
        ("10.1.2.3", True),
        ("192.168.4.5", True),
        ("fd00::1", True),
        ("[fe80::1]", True),
        ("8.8.8.8", False),
        ("192.0.2.1", False),
        ("0.0.0.0", False),
        ("172.17.0.2.example.org", False),
        ("validator0", False),
        ("", False),
    ],
)
def test_private_networks_are_asked_by_plain_http_only_where_that_is_allowed(
    host: str, private: bool
) -> None:
    assert is_private(host) is private
    url = f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:26657/block"
    with pytest.raises(UsageError, match="is not encrypted"):
        require_allowed(url)
    if private:
        require_allowed(url, private=True)
    else:
        with pytest.raises(UsageError, match="is not encrypted"):
            require_allowed(url, private=True)
