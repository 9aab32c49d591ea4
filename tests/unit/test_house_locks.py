"""The locks: complete, hashed, of one mind, and without a word about where packages come from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
_PINNED = re.compile(r"^(?P<requirement>[A-Za-z0-9][^ ]*==[^ ]+)")
_HASH = re.compile(r"^ {4}--hash=sha256:[0-9a-f]{64}( \\)?$")


def _pins(name: str) -> dict[str, str]:
    """Package → pinned version."""
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    pins = [Requirement(match["requirement"]) for line in lines if (match := _PINNED.match(line))]
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _group(name: str) -> list[Requirement]:
    """A dependency group with the groups it includes."""
    found: list[Requirement] = []
    for entry in _project()["dependency-groups"][name]:
        found += [Requirement(entry)] if isinstance(entry, str) else _group(entry["include-group"])
    return found


def _dependencies() -> list[Requirement]:
    return [Requirement(text) for text in _project()["project"]["dependencies"]]


@pytest.mark.parametrize("name", ["run.txt", "checkout.txt", "test.txt", "dev.txt", "fuzz.txt"])
def test_every_line_is_a_pin_or_a_hash(name: str) -> None:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    for number, line in enumerate(lines, 1):
        assert line.startswith("#") or _PINNED.match(line) or _HASH.match(line), (
            f"requirements/{name}:{number}: {line}"
        )
        if _PINNED.match(line):
            assert line.endswith("\\"), f"requirements/{name}:{number}: a pin without a hash"


_ASKED = {
    "run.txt": _dependencies(),
    "checkout.txt": _dependencies() + _group("build"),
    "test.txt": _dependencies() + _group("test"),
    "dev.txt": _dependencies() + _group("dev"),
    "fuzz.txt": _group("fuzz"),
}


@pytest.mark.parametrize("name", _ASKED)
def test_what_the_project_asks_for_is_locked(name: str) -> None:
    pins = _pins(name)
    for requirement in _ASKED[name]:
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {name}; run bin/lock"
        assert requirement.specifier.contains(version), (
            f"{requirement.name} {version} in {name} is not {requirement.specifier}; run bin/lock"
        )


@pytest.mark.parametrize("name", ["run.txt", "checkout.txt", "test.txt"])
def test_what_is_installed_is_what_was_tested(name: str) -> None:
    tested = _pins("dev.txt")
    assert {name: tested.get(name) for name in _pins(name)} == _pins(name)


def test_the_build_backend_is_locked() -> None:
    build = [Requirement(text) for text in _project()["build-system"]["requires"]]
    assert {item.name for item in build} <= {item.name for item in _group("build")}
