"""The chain's RPC: the committed height, accounts, published values, transactions."""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import json
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Protocol
from urllib.parse import urlencode

from . import protobuf
from .errors import ChainError

TIMEOUT = 120.0
"""Seconds of one request: the node does not answer while its kernel works on a block."""
LIMIT = 64 * 1024 * 1024
"""Bytes of an answer."""


@dataclass(frozen=True)
class Account:
    """The parts of an account that signing needs."""

    number: int
    sequence: int


@dataclass(frozen=True)
class Included:
    """A transaction in a block."""

    height: int
    code: int
    log: str
    gas: int
    """Gas it used."""


@dataclass(frozen=True)
class Cell:
    """What was published at a path in one block."""

    height: int
    values: List[str]
    """CapData as JSON, in the order of publishing."""


class Chain(Protocol):
    """The driver's requests to a chain. Every method raises ChainError without an answer."""

    def height(self) -> int:
        """Of the newest block that is committed; 0 before the first."""

    def account(self, address: str) -> Optional[Account]:
        """None for an address that the chain does not know."""

    def published(self, path: str, height: Optional[int] = None) -> Optional[Cell]:
        """The value at a path, now or after a block; None without one."""

    def broadcast(self, tx: bytes) -> None:
        """Send a transaction; may be repeated. Raises Refused if the chain does not take it."""

    def transactions(self, height: int) -> List[str]:
        """Hashes of the transactions in a block."""

    def included(self, tx_hash: str) -> Optional[Included]:
        """The result of a transaction; None while the node's index does not have it yet."""


def hash_of(tx: bytes) -> str:
    """A transaction's name on the chain."""
    return hashlib.sha256(tx).hexdigest().upper()


class Refused(ChainError):
    """The chain did not take a transaction; it will be in no block."""


class Rpc:
    """A chain's RPC on this machine; for any number of threads."""

    def __init__(self, host: str, port: int) -> None:
        """Nothing is sent yet."""
        self._address = (host, port)

    def height(self) -> int:
        """See `Chain`. `/status` would count a block that is still being worked on."""
        return int(self._get("abci_info")["response"].get("last_block_height", 0))

    def account(self, address: str) -> Optional[Account]:
        """See `Chain`."""
        asked = protobuf.message((1, address))
        value = self._query("/cosmos.auth.v1beta1.Query/Account", asked, None)
        if value is None:
            return None
        try:
            # An Any, of a type that begins with a BaseAccount's fields.
            base = protobuf.parse(_inner(_inner(value, 1), 2))
            return Account(*(int(base.get(field, [0])[0]) for field in (3, 4)))
        except ValueError as error:
            raise ChainError(f"the account {address} is of an unknown form: {error}") from error

    def published(self, path: str, height: Optional[int] = None) -> Optional[Cell]:
        """See `Chain`."""
        asked = protobuf.message((1, path))
        value = self._query("/agoric.vstorage.Query/Data", asked, height)
        text = protobuf.parse(value).get(1, [b""])[0] if value is not None else b""
        if not text or not isinstance(text, bytes):
            return None
        try:
            cell = json.loads(text)
            return Cell(int(cell["blockHeight"]), [str(value) for value in cell["values"]])
        except (ValueError, KeyError, TypeError) as error:
            raise ChainError(f"{path} holds no stream cell: {text[:200]!r}") from error

    def broadcast(self, tx: bytes) -> None:
        """See `Chain`."""
        params = {"tx": base64.b64encode(tx).decode("ascii")}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_sync", "params": params}
        try:
            sent = self._ask("POST", "/", json.dumps(asked))
        except ChainError as error:
            if "already exists in cache" in str(error):
                return
            raise
        if int(sent.get("code", 0)) != 0:
            raise Refused(f"the chain refused a transaction: {sent.get('log') or sent}")

    def transactions(self, height: int) -> List[str]:
        """See `Chain`."""
        block = self._get("block", height=str(height))["block"]
        return [hash_of(base64.b64decode(tx)) for tx in block["data"].get("txs") or []]

    def included(self, tx_hash: str) -> Optional[Included]:
        """See `Chain`."""
        try:
            found = self._get("tx", hash=f"0x{tx_hash}")
        except Missing:
            return None
        result = found["tx_result"]
        code, gas = int(result.get("code", 0)), int(result.get("gas_used", 0))
        return Included(int(found["height"]), code, str(result.get("log", "")), gas)

    def _query(self, path: str, data: bytes, height: Optional[int]) -> Optional[bytes]:
        """The value of an ABCI query; None if the chain has none."""
        more = {} if height is None else {"height": str(height)}
        asked = self._get("abci_query", path=f'"{path}"', data=f"0x{data.hex()}", **more)
        response = asked["response"]
        if int(response.get("code", 0)) != 0:
            log = str(response.get("log", ""))
            if "not found" in log.lower() or "no data" in log.lower():
                return None
            raise ChainError(f"the chain refused {path}: {log}")
        try:
            return base64.b64decode(response.get("value") or "")
        except binascii.Error as error:
            raise ChainError(f"the chain answered {path} with no base64") from error

    def _get(self, method: str, **params: str) -> Mapping[str, Any]:
        return self._ask("GET", f"/{method}?{urlencode(params)}", None)

    def _ask(self, verb: str, path: str, body: Optional[str]) -> Mapping[str, Any]:
        """The result of a request. Raises ChainError, and Missing if the chain has none."""
        name = path.partition("?")[0]
        connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
        try:
            connection.request(verb, path, body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read(LIMIT))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ChainError(f"the chain's RPC does not answer {name}: {error!r}") from error
        finally:
            connection.close()
        result = answer.get("result") if isinstance(answer, dict) else None
        if isinstance(result, dict):
            return result
        text = json.dumps(answer.get("error") if isinstance(answer, dict) else answer)
        if "not found" in text:
            raise Missing(text)
        raise ChainError(f"the chain's RPC refused {name}: {text[:500]}")


class Missing(ChainError):
    """The chain has nothing of that name."""


def _inner(data: bytes, field: int) -> bytes:
    """A message within a message. Raises ValueError if there is none."""
    values = protobuf.parse(data).get(field)
    if not values or not isinstance(values[0], bytes):
        raise ValueError(f"there is no message in field {field}")
    return values[0]
