"""`sim-chain init`: the files that exist before the first block."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any

CHAIN_ID = "simulated"
LOG = Path("data") / "ag-cosmos-chain-state" / "data.mdb"
"""The kernel's database: the log of committed blocks."""


def init(
    home: Path, seed: str, given: bytes | None = None, compute_limit: int | None = None
) -> bool:
    """Create the chain's home; False if it exists already. `OSError` if it cannot be written.

    `given` is the genesis of a network to follow; `compute_limit` is the computron limit of a
    block, None: no limit.
    """
    genesis = home / "config" / "genesis.json"
    if genesis.exists():
        return False
    for folder in ("config", "data"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    key = {"type": "tendermint/PrivKeyEd25519", "value": base64.b64encode(_key(seed)).decode()}
    (home / "config" / "node_key.json").write_text(
        json.dumps({"simulated": True, "priv_key": key}) + "\n"
    )
    (home / "config" / "config.toml").write_text('moniker = "simulated"\n')
    document = {
        "chain_id": CHAIN_ID,
        "simulated": True,
        "genesis_time": time.time(),
        "initial_height": "1",
        "compute_limit": compute_limit,
    }
    # Last and by rename: a home with a genesis is complete.
    partial = genesis.with_suffix(".tmp")
    partial.write_bytes(given or json.dumps(document).encode() + b"\n")
    partial.replace(genesis)
    return True


def read(home: Path) -> dict[str, Any]:
    """The genesis document. `FileNotFoundError` before `init`."""
    document: dict[str, Any] = json.loads((home / "config" / "genesis.json").read_text())
    return document


def node_id(seed: str) -> str:
    """The node's id, computed from its public key as peers would do."""
    return hashlib.sha256(_key(seed)[32:]).hexdigest()[:40]


def _key(seed: str) -> bytes:
    """In the form of a private key followed by the public one; it signs nothing."""
    return b"".join(hashlib.sha256(f"{seed}/{part}".encode()).digest() for part in ("node", "pub"))
