"""A bootstrap configuration that adds the wallet load's contract.

It is the revision's own demonstration configuration, which has what load generators need, with one
more core proposal. It is in a separate folder beside a link to the SDK's packages, where the SDK
finds them as from its own folders.
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any, Dict, Optional

from cosmos import SetupError

DEMO = "decentral-demo-config.json"
HOMES = ("vm-config", "boot", "vats")
"""Packages that hold the demo configuration, newest first."""
CODE = ("builder.js", "proposal.js", "contract.js")
PACKAGE = {
    "name": "loadgenctl-wallet-load",
    "version": "0.0.0",
    "private": True,
    "type": "module",
    # Bundlers accept only packages that are named.
    "dependencies": {"@endo/far": "*"},
}


def demo_config(src: Path) -> Path:
    """Where the SDK in `src` keeps its demo configuration."""
    for home in HOMES:
        found = src / "packages" / home / DEMO
        if found.exists():
            return found
    places = ", ".join(f"packages/{home}" for home in HOMES)
    raise SetupError(f"this revision has no {DEMO} (searched {places})")


def with_proposal(config: Dict[str, Any], module: str) -> Dict[str, Any]:
    """The configuration with one more core proposal; the list may have either of two forms."""
    changed = copy.deepcopy(config)
    proposals = changed.setdefault("coreProposals", [])
    if isinstance(proposals, dict) and isinstance(proposals.get("steps"), list):
        proposals["steps"].append([module])
    elif isinstance(proposals, list):
        proposals.append(module)
    else:
        raise SetupError("the bootstrap configuration's coreProposals are of an unknown form")
    return changed


def anchored(value: Any, folder: Path) -> Any:
    """`value` with paths that begin with a dot taken as relative to `folder`."""
    if isinstance(value, dict):
        return {key: anchored(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [anchored(inner, folder) for inner in value]
    if isinstance(value, str) and value.startswith(("./", "../")):
        return str((folder / value).resolve())
    return value


def place(folder: Path, src: Path, config: Path) -> Path:
    """Create `folder` with a copy of the configuration, and return the path of the copy.

    The SDK looks for the packages that a configuration names from the configuration's own folder.
    """
    _read(config)
    _make_beside_packages(folder, src)
    path = folder / "bootstrap.json"
    shutil.copyfile(config, path)
    return path


def _read(file: Path) -> Dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"cannot read the bootstrap configuration {file}: {error}") from error
    if not isinstance(config, dict):
        raise SetupError(f"the bootstrap configuration {file} is not a JSON object")
    return config


def _make_beside_packages(folder: Path, src: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "node_modules").symlink_to(src / "node_modules")


def write(folder: Path, src: Path, code: Path, base: Optional[Path]) -> Path:
    """Create `folder` with the configuration, and return its path there.

    `src` is the SDK, `code` holds the contract, `base` is a configuration that replaces the
    demonstration's.
    """
    base = base or demo_config(src)
    config = _read(base)
    _make_beside_packages(folder, src)
    for name in CODE:
        shutil.copyfile(code / name, folder / name)
    (folder / "package.json").write_text(json.dumps(PACKAGE, indent=2), encoding="utf-8")
    changed = with_proposal(anchored(config, base.parent), str(folder / "builder.js"))
    path = folder / "bootstrap.json"
    path.write_text(json.dumps(changed, indent=2), encoding="utf-8")
    return path
