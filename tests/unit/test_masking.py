"""Credentials in texts: what is taken out, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgenctl.building.site import parse_site
from loadgenctl.errors import BuildError, LoadgenError, RoleDied, UsageError
from loadgenctl.masking import MASK, Mask, mask_address, mask_addresses, mask_of
from loadgenctl.sources.giturl import parse_repository, without_credentials
from loadgenctl.urls import origin_of

SECRET = "s3cr3t-Value"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://u:p@host/x", "https://***@host/x"),
        (
            "could not read from 'https://tok@host': no",
            "could not read from 'https://***@host': no",
        ),
        ("https://u:p@w@host/x and http://a@b", "https://***@host/x and http://***@b"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://modules.example/a.b/c@v1.2.3", "https://modules.example/a.b/c@v1.2.3"),
        ("https://npm.example/@scope/name", "https://npm.example/@scope/name"),
        ("https://u:p/w@host/x", "https://***@host/x"),
        ("https://u:1/2@host/x", "https://***@host/x"),
        ("https://u:p@a/b@host/x", "https://***@host/x"),
        ("https://u:p?q#r@host.example/x", "https://***@host.example/x"),
        ("https://tok/en@host.example/x", "https://***@host.example/x"),
        ("https//u:p@host/x", "https//***@host/x"),
        ("https:/u:p@host/x", "https:/***@host/x"),
        (r"https:\\u:p@host/x", r"https:\\***@host/x"),
        (r"https:\u:p@host/x", r"https:\***@host/x"),
        (
            "a-long-word-before-" * 4 + "https://u:p@host/x",
            "a-long-word-before-" * 4 + "https://***@host/x",
        ),
        ("mail a@b", "mail a@b"),
        ("see https://host, or write to me@host", "see https://host, or write to me@host"),
    ],
)
def test_addresses(text: str, masked: str) -> None:
    assert mask_addresses(text) == masked


def test_a_long_word_takes_no_time_by_the_square() -> None:
    # By the square, this would take minutes.
    word = "a" * 200_000
    assert mask_addresses(f"{word} //@") == f"{word} //@"


@pytest.mark.parametrize(
    "mask",
    [
        mask_of([f"https://user:{SECRET}@host/x"], {}),
        mask_of([f"https://{SECRET}@host/x", None], {}),
        mask_of([f"user:{SECRET}@proxy:3128"], {}),
        mask_of([], {"NPM_TOKEN": SECRET}),
        mask_of([], {"INDEX": f"https://user:{SECRET}@host/"}),
    ],
)
def test_values_wherever_they_stand(mask: Mask) -> None:
    assert mask(f"curl -u user:{SECRET} -H '{SECRET}'") == f"curl -u user:{MASK} -H '{MASK}'"


def test_of_a_password_the_form_that_is_sent_is_hidden_too() -> None:
    mask = mask_of(["https://user:p%40ssw%2Frd@host/x"], {})
    assert mask("p%40ssw%2Frd p@ssw/rd") == f"{MASK} {MASK}"


def test_what_is_no_secret_stays() -> None:
    mask = mask_of(["https://host/path", "git@host:path"], {"GOFLAGS": "-mod=mod", "PASSWORD": "x"})
    assert mask == Mask()


def test_no_error_tells_what_an_address_holds() -> None:
    address = f"https://user:{SECRET}@host/x"
    for error in (
        LoadgenError(address, hint=address, detail=address),
        BuildError(address, hint=address, detail=address),
        RoleDied(address, role="chain", hint=address, detail=address),
    ):
        told = f"{error} {error.message} {error.hint} {error.detail} {error.args}"
        assert SECRET not in told
        assert f"https://{MASK}@host/x" in told


@pytest.mark.parametrize(
    "address",
    [
        f"https://{'u' * 30}:{SECRET}@host/\x1b",
        f"https://{'u' * 50}:{SECRET}@host/{'x' * 2000}",
        f"https://{'u' * 60}:{SECRET}{'x' * 60}@host",
        f"https://user:{SECRET}@host:99999/x",
        f"ftp://user:{SECRET}@host/x",
        f"http:/user:{SECRET}@host/x",
        rf"https:\\user:{SECRET}@host/x",
        f"user:{SECRET}@host:path",
        f"git@user:{SECRET}@host:path",
    ],
)
def test_an_address_that_is_refused_is_shown_without_them(address: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_repository(address)
    assert SECRET[:4] not in refused.value.message


@pytest.mark.parametrize("key", ["npm_registry", "apt_mirror"])
def test_a_mirror_that_images_name_has_no_credentials(key: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        parse_site({"site": {key: f"https://user:{SECRET}@host/x"}}, tmp_path)
    assert "images" in refused.value.message
    assert SECRET not in f"{refused.value.message}{refused.value.hint}"
    parse_site({"site": {key: "https://host/@scope"}}, tmp_path)


def test_a_site_s_secrets(tmp_path: Path) -> None:
    words = [f"{SECRET}-{number}" for number in range(5)]
    site = parse_site(
        {
            "site": {
                "goproxy": f"https://user:{words[0]}@host/go,direct",
                "https_proxy": f"http://user:{words[1]}@proxy:3128",
                "git": {f"https://{words[2]}@host/": f"https://user:{words[3]}@mirror/"},
                "builder": {"env": {"A_TOKEN": words[4]}},
            }
        },
        tmp_path,
    )
    assert SECRET not in site.mask()(" ".join(words))


SAFE_HOSTS = ("git.example.com", "localhost:8080", "10.1.2.3", "[::1]:8443", "git.example.com:443")
PASSWORD = st.text("abcXYZ019/@#?:%&=+._~-", min_size=1, max_size=20)


def _told_of(made: Callable[[], str]) -> str:
    """What is made of an address, or what its refusal says."""
    try:
        return made()
    except UsageError as refused:
        return f"{refused.message} {refused.hint}"


@given(
    user=st.text("abz09_-", max_size=6),
    password=PASSWORD,
    host=st.sampled_from(SAFE_HOSTS),
    path=st.sampled_from(["", "/", "/org/sdk.git", "/a/b?c=d#e"]),
    scheme=st.sampled_from(["https://", "http://", "ssh://", "https//"]),
    alone=st.booleans(),
)
def test_whatever_is_in_a_password_it_is_shown_nowhere(
    user: str, password: str, host: str, path: str, scheme: str, *, alone: bool
) -> None:
    secret = f"QQ{password}QQ"
    userinfo = secret if alone else f"{user}:{secret}"
    address = f"{scheme}{userinfo}@{host}{path}"
    shown = f"{scheme}{MASK}@{host}{path}"
    assert mask_addresses(f"fatal: '{address}' is gone") == f"fatal: '{shown}' is gone"
    assert without_credentials(f"--sdk-repo={address}") == f"--sdk-repo={scheme}{host}{path}"
    assert mask_address(address) == shown
    assert "QQ" not in _told_of(lambda: parse_repository(address).public)
    if "://" in scheme:
        assert "QQ" not in _told_of(lambda: origin_of(address, Path("/")))
    # With a colon in it what stands alone is a user and a password.
    if "://" in scheme and len(secret) >= 6 and not (alone and ":" in secret):
        told = f"{secret} {unquote(secret)} {quote(unquote(secret), safe='')}"
        assert "QQ" not in mask_of([address], {})(told)
