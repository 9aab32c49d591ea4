"""images/sdk/overrides.py on trees, as the builder runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from loadgenctl import resources

SCRIPT = resources.images("sdk", "overrides.py")


def apply(tree: Path, *, go: str = "exit 0", code: int = 0, **wanted: Any) -> list[str]:
    """Run it with a Go of its own; the lines it says."""
    programs = tree.parent / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "go").write_text(f'#!/bin/sh\necho "$PWD: $*" >>{programs}/calls\n{go}\n')
    (programs / "go").chmod(0o755)
    env = {"PATH": f"{programs}:{os.environ['PATH']}", "LOADGENCTL_OVERRIDES": json.dumps(wanted)}
    argv = [sys.executable, "-c", SCRIPT.read_text()]
    done = subprocess.run(argv, cwd=tree, env=env, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "")
    return done.stdout.splitlines()


def calls(tree: Path) -> list[str]:
    file = tree.parent / "programs" / "calls"
    return file.read_text().splitlines() if file.exists() else []


def make_tree(folder: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        path = folder / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=4))
    return folder / "tree"


def test_packages_are_edited_where_something_matches(tmp_path: Path) -> None:
    root = {"name": "sdk", "resolutions": {"ms": "1.0.0", "ses": "1.0.0"}, "ö": 1}
    first = {
        "dependencies": {"a": "^1.0.0", "ms": "^2.1.2"},
        "devDependencies": {"telescope": "^1.12.8"},
        "peerDependencies": {"telescope": "^2.0.0"},
    }
    other = {"dependencies": {"a": "^1.0.1"}}
    tree = make_tree(
        tmp_path,
        {
            "package.json": root,
            "packages/one/package.json": first,
            "packages/other/package.json": other,
            "packages/one/node_modules/x/package.json": first,
            "packages/list/package.json": [],
        },
    )
    said = apply(
        tree,
        drop={"telescope": ["^1.12.8"], "gone": []},
        ranges={"ms": {"^2.1.2": "2.1.1"}},
        resolutions={"ms": "2.1.1", "x@npm:^1": "1.2.3"},
        deviations=["npm telescope: dropped"],
    )
    assert said == [
        "package.json: resolution of ms to 2.1.1",
        "package.json: resolution of x@npm:^1 to 1.2.3",
        "packages/one/package.json: ms ^2.1.2 changed to 2.1.1 in dependencies",
        "packages/one/package.json: telescope ^1.12.8 dropped from devDependencies",
        "no place in the SDK asks for gone: its override changes nothing",
    ]
    edited = json.loads((tree / "package.json").read_text())
    # What comes first counts.
    assert list(edited["resolutions"].items()) == [
        ("ms", "2.1.1"),
        ("x@npm:^1", "1.2.3"),
        ("ses", "1.0.0"),
    ]
    assert "ö" in (tree / "package.json").read_text()
    one = json.loads((tree / "packages/one/package.json").read_text())
    assert one["dependencies"] == {"a": "^1.0.0", "ms": "2.1.1"}
    assert (one["devDependencies"], one["peerDependencies"]) == ({}, {"telescope": "^2.0.0"})
    untouched = tree / "packages/one/node_modules/x/package.json"
    assert json.loads(untouched.read_text()) == first
    assert (tree / "packages/other/package.json").read_text() == json.dumps(other, indent=4)


def test_a_replacement_is_replaced_and_its_requirements_are_fetched(tmp_path: Path) -> None:
    text = (
        "require github.com/acme/fork v1.0.0\n"
        "// a => github.com/acme/fork v1.0.0\n"
        "replace a => github.com/acme/fork v1.0.0 // ours\n"
        "replace b => github.com/acme/fork v1.0.01\n"
    )
    tree = make_tree(tmp_path, {"golang/cosmos/go.mod": text, "go.mod": "module x\n"})
    said = apply(tree, replace={"github.com/acme/fork@v1.0.0": "github.com/acme/other@v2.0.0"})
    assert said == [
        "golang/cosmos/go.mod: github.com/acme/fork@v1.0.0 replaced by github.com/acme/other@v2.0.0"
    ]
    assert (tree / "golang/cosmos/go.mod").read_text() == text.replace(
        "replace a => github.com/acme/fork v1.0.0", "replace a => github.com/acme/other v2.0.0"
    )
    assert calls(tree) == [f"{tree}/golang/cosmos: list -mod=mod -deps ./..."]


def test_a_requirement_without_a_replacement_gets_one(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path, {"go.mod": "module x\n\nrequire (\n\ta.test/b v1.0.0 // indirect\n)\n"}
    )
    apply(tree, replace={"a.test/b@v1.0.0": "/mnt/a b"})
    assert (tree / "go.mod").read_text().endswith('\nreplace a.test/b v1.0.0 => "/mnt/a b"\n')


def test_in_a_workspace_the_workspace_has_the_replacement(tmp_path: Path) -> None:
    files: dict[str, object] = {
        "golang/cosmos/go.mod": "module x\n\nrequire a.test/b v1.0.0\n",
        "golang/cosmos/go.work": "use .\n\nreplace c => d.test/e v1.0.0\n",
    }
    tree = make_tree(tmp_path, files)
    replace = {"a.test/b@v1.0.0": "a.test/b@v1.0.1", "d.test/e@v1.0.0": "d.test/e@v1.0.1"}
    apply(tree, replace=replace)
    assert (tree / "golang/cosmos/go.mod").read_text() == files["golang/cosmos/go.mod"]
    assert (tree / "golang/cosmos/go.work").read_text() == (
        "use .\n\nreplace c => d.test/e v1.0.1\n\nreplace a.test/b v1.0.0 => a.test/b v1.0.1\n"
    )
    # Builds of a workspace bring its sums up to date themselves.
    assert calls(tree) == []


def test_a_replacement_that_cannot_be_had_ends_the_step(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, {"go.mod": "module x\n\nrequire a.test/b v1.0.0\n"})
    apply(tree, go="exit 7", code=7, replace={"a.test/b@v1.0.0": "a.test/b@v1.0.9"})


def test_what_was_changed_is_noted_in_the_tree_and_added_to(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, {"package.json": {}})
    apply(tree)
    note = tree / ".loadgenctl-overrides.json"
    assert not note.exists()
    apply(tree, deviations=["npm b: dropped"])
    apply(tree, deviations=["npm a: dropped", "npm b: dropped"])
    assert json.loads(note.read_text()) == ["npm a: dropped", "npm b: dropped"]
