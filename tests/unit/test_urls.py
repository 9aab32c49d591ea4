"""Which addresses are accepted, and for what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loadgenctl.errors import UsageError
from loadgenctl.urls import (
    git_address,
    has_credentials,
    is_git_prefix,
    is_plain_http,
    is_private,
    origin_of,
    peer_host,
    require_allowed,
    rpc_host,
)

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
        ("ftp://example.org", "cannot be read by a run"),
        ("https://", "cannot be read by a run"),
        ("https://example.org:port", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://example.org/?next=1", "ends with its path"),
        ("file://elsewhere/srv", "does not name a folder"),
    ],
)
def test_what_may_not_be_read_is_refused_without_a_password_in_the_message(
    typed: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        origin_of(typed, CWD)
    assert "secret" not in refused.value.message
    assert refused.value.hint


def test_a_redirect_has_to_obey_the_same_rules() -> None:
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
def test_private_networks_are_read_by_plain_http_only_where_that_is_allowed(
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


NODE = "0123456789abcdef0123456789abcdef01234567"


def accepted(use: Callable[[], object]) -> bool:
    """True if a use takes an address."""
    try:
        return use() not in {None, False}
    except UsageError:
        return False


# Uses: an origin, a git repository, the prefix of one in the site settings, a registry of the site,
# a node's address to peers, a node's RPC.
@pytest.mark.parametrize(
    ("address", "uses"),
    [
        ("https://example.org/x", "origin git prefix registry rpc"),
        ("https://example.org:8443/x", "origin git prefix registry rpc"),
        ("https://[2001:db8::1]:8443/x", "origin git prefix registry rpc"),
        ("http://127.0.0.1:26657", "origin prefix registry rpc"),
        ("http://127.0.0.1:26657/x", "origin git prefix registry rpc"),
        ("http://10.0.0.1:26657/x", "git prefix registry rpc"),
        ("http://example.org/x", "git prefix registry rpc"),
        ("https://example.org/x?y=z", "git prefix registry"),
        ("https://example.org/x#y", "git prefix"),
        ("https://user:secret@example.org/x", "git prefix registry"),
        ("https://user:secr/et@example.org/x", "prefix"),
        ("https://example.org:port/x", "prefix"),
        ("https://example.org:99999/x", "prefix"),
        ("https://[::1", "prefix"),
        ("https://", "prefix"),
        ("https://example.org/$(x)", "git origin prefix"),
        ("https://example.org/x;y", "git origin prefix"),
        ('https://example.org/"\n[core]', "origin"),
        ("ftp://example.org/x", "prefix"),
        ("ssh://git@example.org/x", "git prefix"),
        ("ssh://-oProxyCommand=x/y", "prefix"),
        ("git@example.org:x/y", "git origin prefix"),
        ("user:secret@example.org:x", "origin"),
        ("ext::sh -c x", "origin"),
        ("-oProxyCommand=x@host:y", "origin"),
        ("--upload-pack=x", "origin"),
        ("file:///srv/x", "git origin prefix"),
        ("file://example.org/srv/x", "prefix"),
        ("/srv/x", "git origin"),
        ("./x", "git origin"),
        ("example.org:26657", "git origin rpc"),
        ("tcp://example.org:26657", "prefix rpc"),
        ("example.org:99999", "git origin"),
        ("example.org:0", "git origin"),
        ("example.org:\u0661", "git origin"),
        ("--node", "origin"),
        (f"{NODE}@example.org:26656", "git origin prefix peer"),
        (f"tcp://{NODE}@example.org:26656", "peer prefix"),
        (f"{NODE}@example.org:99999", "git origin prefix"),
        (f"{NODE}@example.org:1,x", "git origin prefix"),
        (f"{NODE.upper()}@example.org:26656", "git origin prefix"),
    ],
)
def test_every_use_accepts_what_is_safe_for_it(address: str, uses: str) -> None:
    found = {
        "origin": accepted(lambda: origin_of(address, CWD)),
        "git": accepted(lambda: git_address(address)),
        "prefix": accepted(lambda: is_git_prefix(address)),
        "registry": accepted(lambda: is_plain_http(address)),
        "peer": accepted(lambda: peer_host(address)),
        "rpc": accepted(lambda: rpc_host(address)),
    }
    assert {use for use, taken in found.items() if taken} == set(uses.split())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("https://user:secret@example.org:8443/x.git", "https://example.org:8443/x.git"),
        ("https://secret@example.org/x?y#z", "https://example.org/x"),
        ("ssh://git@example.org/x", "ssh://example.org/x"),
        ("git@example.org:x/y", "git@example.org:x/y"),
        ("file://localhost/srv/x", "file:///srv/x"),
        ("/srv/../x", "/x"),
    ],
)
def test_a_repository_is_shown_without_credentials(address: str, public: str) -> None:
    assert git_address(address)[1] == public


def test_credentials_are_found_in_every_registry() -> None:
    assert has_credentials("https://user:secret@example.org/x")
    assert has_credentials("https://token@example.org/x")
    assert not has_credentials("https://example.org/@scope/x")
