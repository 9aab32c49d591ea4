"""A node's configuration files: values changed in place, listeners that a run does not use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterator, Optional, Tuple

from cosmos import SetupError

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
