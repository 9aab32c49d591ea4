"""The origin of a local chain, so that nodes of other runs can follow it. Reads files only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from loadgenctl.errors import RunError
from loadgenctl.model import TrustPoint
from loadgenctl.networks.description import CHAIN_ID, HEIGHT, HEX_SHA256
from loadgenctl.plainfile import RolePath

P2P_PORT = 26656
"""Port at which a node listens to its peers."""
KEY_LIMIT = 64 * 1024
"""Bytes of a node's key file."""


def read_of_chain(path: RolePath, most: int) -> bytes:
    """A file of the chain, of at most `most` bytes. Raises `RunError`, `NotPlainError`."""
    try:
        return path.read(most)
    except FileNotFoundError as error:
        raise RunError(f"the chain has not created {path}", role="chain") from error


def node_id(node_key: RolePath) -> str:
    """The id of the node with this key file: 20 bytes of the SHA-256 of its public key, as its
    peers compute it. Raises `RunError`, `NotPlainError`.
    """
    try:
        document = json.loads(read_of_chain(node_key, KEY_LIMIT))
        private = base64.b64decode(document["priv_key"]["value"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise RunError(f"the node's key {node_key} is not a key file", role="chain") from error
    if len(private) != 64:
        raise RunError(f"the node's key {node_key} is not an ed25519 key", role="chain")
    return hashlib.sha256(private[32:]).hexdigest()[:40]


def trusted_block(status: object) -> TrustPoint | None:
    """The newest block in a node's `/status`; None if it names none."""
    sync = status.get("sync_info") if isinstance(status, dict) else None
    if not isinstance(sync, dict):
        return None
    height, block = str(sync.get("latest_block_height")), str(sync.get("latest_block_hash"))
    if not HEIGHT.fullmatch(height) or not HEX_SHA256.fullmatch(block):
        return None
    return TrustPoint(int(height), block.upper())


def network_config(
    genesis: bytes, node: str, host: str, rpc_port: int, trust: TrustPoint | None = None
) -> bytes:
    """The network-config of a chain whose only node is at `host`. Raises `RunError`.

    `trust` is a block of the chain at which other nodes can begin with state-sync.
    """
    try:
        chain_id = json.loads(genesis)["chain_id"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError("the chain's genesis has no chain_id", role="chain") from error
    if not isinstance(chain_id, str) or not CHAIN_ID.fullmatch(chain_id):
        raise RunError(f"the chain's chain_id is {ascii(chain_id)[:80]}", role="chain")
    document: dict[str, object] = {
        "chainName": chain_id,
        "gci": hashlib.sha256(genesis).hexdigest(),
        "peers": [f"{node}@{host}:{P2P_PORT}"],
        "rpcAddrs": [f"{host}:{rpc_port}"],
        "seeds": [],
    }
    if trust is not None:
        # As the SDK's own acceptance tests name it.
        document["trustedBlockInfo"] = {"height": str(trust.height), "hash": trust.block_hash}
    return json.dumps(document, indent=1).encode() + b"\n"
