"""Rules of the house that the linters cannot say."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "controller" / "loadgenctl"
# Modules that the oldest Python of the images does not have yet.
_NEWER_THAN_THE_IMAGES = {"tomllib"}
_INSTALLED_IN_IMAGES = {"agent": {"psutil"}}


def _in_containers() -> list[Path]:
    return sorted(path for path in (ROOT / "images").rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imported(node: ast.AST) -> Iterator[str]:
    """Top-level names of what is needed to load a module; what a function imports is its affair."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        yield node.module.partition(".")[0]
    elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in ast.iter_child_nodes(node):
            yield from _imported(child)


def test_only_the_composition_root_asks_the_environment_for_an_engine() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
        named = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        assert "from_env" not in named, f"{_name(path)} does not use docker_connect"
        if "loadgenctl.engines.docker_connection" in modules:
            assert path == PACKAGE / "cli" / "wiring.py", f"{_name(path)} connects to an engine"


@pytest.mark.parametrize("path", _in_containers(), ids=_name)
def test_what_runs_in_containers_needs_only_what_the_images_have(path: Path) -> None:
    tree = ast.parse(path.read_bytes(), feature_version=(3, 9))
    part = path.relative_to(ROOT / "images").parts[0]
    own = {
        item.stem for folder in path.parents if part in folder.parts for item in folder.iterdir()
    }
    standard = set(sys.stdlib_module_names) - _NEWER_THAN_THE_IMAGES
    allowed = standard | own | _INSTALLED_IN_IMAGES.get(part, set())
    assert set(_imported(tree)) <= allowed


@pytest.mark.parametrize("name", ["action.yml", ".github/workflows/ci.yml", "docs/ci.md"])
def test_actions_of_others_are_named_by_commit(name: str) -> None:
    used = re.findall(r"uses: +(\S+)(.*)", (ROOT / name).read_text("utf-8"))
    assert used
    for action, comment in used:
        if action.startswith("OWNER/loadgenctl"):
            continue
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action} does not tell its version"
