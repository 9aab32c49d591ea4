"""`sim-chain init`: the files that exist before the first block."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

CHAIN_ID = "simulated"
LOG = Path("data") / "ag-cosmos-chain-state" / "data.mdb"
"""The kernel's database: the log of committed blocks."""


def init(home: Path, seed: str) -> bool:
    """Make the chain's home; False when it was there already. `OSError` if it cannot be written."""
    genesis = home / "config" / "genesis.json"
    if genesis.exists():
        return False
    for folder in ("config", "data"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(f"{seed}/node".encode()).hexdigest()
    (home / "config" / "node_key.json").write_text(
        json.dumps({"simulated": True, "id": key[:40]}) + "\n"
    )
    (home / "config" / "config.toml").write_text('moniker = "simulated"\n')
    document = {
        "chain_id": CHAIN_ID,
        "simulated": True,
        "genesis_time": time.time(),
        "initial_height": "1",
    }
    # Last and by rename: a home with a genesis is a complete one.
    partial = genesis.with_suffix(".tmp")
    partial.write_text(json.dumps(document) + "\n")
    partial.replace(genesis)
    return True


def read(home: Path) -> dict[str, float]:
    """The genesis document. `FileNotFoundError` before `init`."""
    document: dict[str, float] = json.loads((home / "config" / "genesis.json").read_text())
    return document
