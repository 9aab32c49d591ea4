"""Apply a site's overrides to the SDK's tree in the current folder: the builder's first step.

LOADGENCTL_OVERRIDES is a JSON object whose keys are all optional:

    drop         {package: [range, ...]}: dependencies to take out of every package.json; an empty
                 list stands for every range
    ranges       {package: {range: version}}: dependencies to ask for by another version
    resolutions  {key: version}: entries of `resolutions` of the package.json at the top
    replace      {"module@version": "module@version" or an absolute path}: Go modules
    deviations   [text, ...]: added to the list in `.loadgenctl-overrides.json` of the tree

The program prints what it changed, and each override for which it found no place.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

FIELDS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
NOTE = ".loadgenctl-overrides.json"
NOT_OURS = ("node_modules", ".git")
MODULE_FILES = ("go.mod", "golang/cosmos/go.mod", "go.work", "golang/cosmos/go.work")
REPLACE = re.compile(
    r"^(?P<before>(?!\s*//).*=>[ \t]+)(?P<path>\S+)[ \t]+(?P<version>\S+)", re.MULTILINE
)


def say(text: str) -> None:
    """One line for the build's log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Apply what the variable holds."""
    wanted = json.loads(os.environ.get("LOADGENCTL_OVERRIDES") or "{}")
    top = Path.cwd()
    unused = edit_packages(top, wanted)
    edited, others = edit_modules(top, wanted.get("replace", {}))
    for name in unused + others:
        say(f"no place in the SDK asks for {name}: its override changes nothing")
    if wanted.get("deviations"):
        note(top / NOTE, wanted["deviations"])
    return require_modules(edited)


def note(path: Path, deviations: List[str]) -> None:
    """Add to the list of what is changed in the tree."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    path.write_text(json.dumps(sorted({*earlier, *deviations}), indent=2) + "\n", "utf-8")


def edit_packages(top: Path, wanted: Dict[str, Any]) -> List[str]:
    """Edit every package.json; the overrides that no file has a place for."""
    drop, ranges = wanted.get("drop", {}), wanted.get("ranges", {})
    resolutions = wanted.get("resolutions", {})
    if not (drop or ranges or resolutions):
        return []
    unused = set(drop) | set(ranges)
    for path in package_files(top):
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            continue
        done = list(edit_dependencies(document, drop, ranges))
        if path.parent == top and resolutions:
            document["resolutions"] = {
                **resolutions,
                **{
                    k: v for k, v in document.get("resolutions", {}).items() if k not in resolutions
                },
            }
            done += [("", f"resolution of {key} to {to}") for key, to in resolutions.items()]
        if done:
            path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
        for name, text in done:
            say(f"{path.relative_to(top)}: {text}")
            unused.discard(name)
    return sorted(unused)


def package_files(top: Path) -> Iterator[Path]:
    """Every package.json of the tree, but for those of installed packages."""
    for folder, names, files in os.walk(top):
        names[:] = sorted(name for name in names if name not in NOT_OURS)
        if "package.json" in files:
            yield Path(folder, "package.json")


def edit_dependencies(
    document: Dict[str, Any], drop: Dict[str, List[str]], ranges: Dict[str, Dict[str, str]]
) -> Iterator[Tuple[str, str]]:
    """Edit one document; what was done, as package and text."""
    for field in FIELDS:
        asked = document.get(field)
        if not isinstance(asked, dict):
            continue
        for name, range_ in list(asked.items()):
            if name in drop and (not drop[name] or range_ in drop[name]):
                del asked[name]
                yield name, f"{name} {range_} dropped from {field}"
            elif range_ in ranges.get(name, {}):
                asked[name] = ranges[name][range_]
                yield name, f"{name} {range_} changed to {asked[name]} in {field}"


def edit_modules(top: Path, replace: Dict[str, str]) -> Tuple[List[Path], List[str]]:
    """Edit go.mod and go.work files; the files edited, and the overrides without a place in them.

    Go does not replace the replacement of a module: where a file has one, its right side changes.
    """
    files = [top / name for name in MODULE_FILES if (top / name).is_file()]
    unused, edited = [], []
    for old, new in replace.items():
        used = [path for path in files if replace_in(path, old, new)]
        if not used:
            path, _, version = old.partition("@")
            plain = re.compile(rf"(?m)(^|\s){re.escape(path)}\s+{re.escape(version)}(\s|$)")
            holders = [one for one in files if plain.search(one.read_text(encoding="utf-8"))]
            # A workspace decides for all of its modules.
            works = [one for one in files if one.name == "go.work"]
            used = works if holders and works else holders
            for one in used:
                line = f"\nreplace {path} {version} => {right_side(new)}\n"
                one.write_text(one.read_text(encoding="utf-8") + line, "utf-8")
        for one in used:
            say(f"{one.relative_to(top)}: {old} replaced by {new}")
        edited += used
        if not used:
            unused.append(old)
    return edited, unused


def require_modules(edited: List[Path]) -> int:
    """Bring go.mod and go.sum up to date with replacements; an exit code.

    A build does not do it: it holds to both files. In a workspace it does: there is no need.
    """
    for folder in sorted({path.parent for path in edited if path.name == "go.mod"}):
        if not (folder / "go.work").is_file():
            argv = ["go", "list", "-mod=mod", "-deps", "./..."]
            done = subprocess.run(argv, cwd=folder, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
            if done.returncode:
                return done.returncode
    return 0


def right_side(new: str) -> str:
    """A module and version, or a folder, as go.mod has it right of `=>`."""
    return json.dumps(new) if new.startswith("/") else new.replace("@", " ")


def replace_in(path: Path, old: str, new: str) -> bool:
    """Change the right sides of replacements in a file; True if there was one."""
    text = path.read_text(encoding="utf-8")

    def changed(found: "re.Match[str]") -> str:
        if f"{found['path']}@{found['version']}" != old:
            return found[0]
        return found["before"] + right_side(new)

    edited = REPLACE.sub(changed, text)
    if edited != text:
        path.write_text(edited, "utf-8")
    return edited != text


if __name__ == "__main__":
    sys.exit(main())
