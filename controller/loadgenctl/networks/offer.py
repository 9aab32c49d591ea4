"""What a chain of ours tells to others, so that their nodes can follow it. Pure but for reading."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path

from loadgenctl.errors import RunError

P2P_PORT = 26656
"""Where a node listens to others."""


def node_id(node_key: Path) -> str:
    """The id of the node with this key file: 20 bytes of the SHA-256 of its public key, as its
    peers compute it. Raises `RunError`.
    """
    try:
        document = json.loads(node_key.read_bytes())
        private = base64.b64decode(document["priv_key"]["value"], validate=True)
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise RunError(
            f"the node's key {node_key} cannot be read: {error}", role="chain"
        ) from error
    if len(private) != 64:
        raise RunError(f"the node's key {node_key} is no ed25519 key", role="chain")
    return hashlib.sha256(private[32:]).hexdigest()[:40]


def network_config(genesis: bytes, node: str, host: str, rpc_port: int) -> bytes:
    """The network-config of a chain whose only node is at `host`."""
    document = {
        "chainName": str(json.loads(genesis)["chain_id"]),
        "gci": hashlib.sha256(genesis).hexdigest(),
        "peers": [f"{node}@{host}:{P2P_PORT}"],
        "rpcAddrs": [f"{host}:{rpc_port}"],
        "seeds": [],
    }
    return json.dumps(document, indent=1).encode() + b"\n"
