"""A node's folder: created completely or not at all, and its configuration files changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Dict, Iterator, Optional, Tuple

from cosmos import SetupError, attempt

IDENTITY = Path("config", "genesis.json.sha256")
"""In a node's folder: the hash of the genesis, by which clients know the chain. Written last."""

Key = Tuple[str, str]
"""(table, key)."""
Values = Dict[Key, str]
"""(table, key) → value as TOML."""

LISTENERS: Dict[str, Values] = {
    "app.toml": {("rosetta", "enable"): "false", ("grpc-web", "enable"): "false"},
    "config.toml": {("rpc", "pprof_laddr"): '""'},
}
"""Listeners that can be switched off (the node's RPC, its port for other nodes and gRPC cannot):
Rosetta at 8080, gRPC-web at 9091, Go's profiler at 6060."""


def identity_of(node: Path) -> Optional[str]:
    """The identity of a node's chain; None if there is no node.

    Raises SetupError for a folder that is not such a node.
    """
    if (node / IDENTITY).exists():
        return (node / IDENTITY).read_text(encoding="ascii").strip()
    if node.exists():
        raise SetupError(f"{node} exists but was not made by this set-up; reset the state folder")
    return None


def begin(node: Path) -> Path:
    """The folder in which to create a node, beside its final path; does not exist yet."""
    node.parent.mkdir(parents=True, exist_ok=True)
    Path.home().mkdir(parents=True, exist_ok=True)
    part = node.with_name(node.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    return part


def finish(part: Path, node: Path, identity: str) -> None:
    """Move a complete node to its final path."""
    (part / IDENTITY).write_text(identity, encoding="ascii")
    # Bring it to the disk before it counts as done.
    attempt(["sync", "-f", str(part)])
    part.rename(node)


def pairs(text: str) -> Iterator[Tuple[str, Optional[Key]]]:
    """Each line of a configuration, with the key that it sets."""
    table = ""
    for line in text.splitlines():
        head = re.fullmatch(r"\s*\[([\w.-]+)\]\s*(#.*)?", line)
        if head:
            table = head[1]
        pair = re.match(r"\s*([\w-]+)\s*=", line)
        yield line, (table, pair[1]) if pair else None


def patched(text: str, values: Values) -> str:
    """A configuration with changed values. Raises SetupError for a key that it does not have."""
    left, lines = dict(values), []
    for line, key in pairs(text):
        value = left.pop(key, None) if key else None
        lines.append(line if value is None or key is None else f"{key[1]} = {value}")
    if left:
        missing = ", ".join(f"{key} in [{table}]" for table, key in sorted(left))
        raise SetupError(f"the node's configuration has no {missing}")
    return "\n".join(lines) + "\n"


def switch_listeners_off(config: Path) -> None:
    """Switch off the `LISTENERS` that this SDK has. `config`: the folder."""
    for name, wanted in LISTENERS.items():
        file = config / name
        text = file.read_text(encoding="utf-8")
        known = {key for _, key in pairs(text)}
        values = {key: value for key, value in wanted.items() if key in known}
        file.write_text(patched(text, values), encoding="utf-8")
