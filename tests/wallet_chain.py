"""A chain with smart wallets and the load's contract, as the wallet driver sees it: over HTTP.

A block is made each time somebody asks for the height, so tests wait for nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from images.loadgen.agoric.wallet.walletload import bech32, capdata, protobuf
from images.loadgen.agoric.wallet.walletload.capdata import Slot
from images.loadgen.agoric.wallet.walletload.rpc import Account
from images.loadgen.agoric.wallet.walletload.signer import Message, encoded

Json = Any
A, B = Slot("board0a"), Slot("board0b")
RESERVE = 10**12


def address(number: int) -> str:
    """An account's address; its checksum is not right, which no test needs."""
    digits = "".join(bech32.ALPHABET[byte % 32] for byte in hashlib.sha256(b"%d" % number).digest())
    return f"agoric1{digits}{'q' * 6}"


@dataclass
class FakeWallet:
    """What the chain knows of a smart wallet."""

    purses: dict[Slot, int] = field(default_factory=dict)
    vaults: dict[str, int] = field(default_factory=dict)
    """Offer that opened → debt."""


@dataclass
class FakeChain:
    """State and rules. `at_block` is called before each block with its height."""

    accounts: dict[str, list[int]] = field(default_factory=dict)
    """Address → account number, sequence."""
    wallets: dict[str, FakeWallet] = field(default_factory=dict)
    cells: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    """Path → height → values."""
    blocks: dict[int, list[bytes]] = field(default_factory=dict)
    results: dict[str, dict[str, Json]] = field(default_factory=dict)
    """Transaction → as the node's index has it."""
    mempool: list[bytes] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)
    """Ids of all offers that were made."""
    height: int = 10
    stopped: bool = False
    """No more blocks are made."""
    error: str | None = None
    """Every offer fails with it."""
    silent: bool = False
    """The kernel does nothing any more."""
    minted: int | None = None
    """The faucet mints so much, whatever is wanted."""
    fail_code: int = 0
    """Code of transactions in blocks."""
    hang_ups: int = 0
    """So many requests from now are not answered."""
    due: list[Callable[[], None]] = field(default_factory=list)
    """What the kernel does in the next block."""
    reserves: dict[Slot, int] = field(default_factory=lambda: {A: RESERVE, B: RESERVE})
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Publish the names, as entries."""
        self.publish("published.agoricNames.instance", [["loadgenctl", Slot("board0i")]])
        self.publish("published.agoricNames.brand", [["LoadA", A], ["LoadB", B]])

    def publish(self, path: str, value: Json) -> None:
        self.cells.setdefault(path, {}).setdefault(self.height, []).append(capdata.encode(value))

    def make_block(self) -> None:
        """Run what is due, then take what waits."""
        if self.stopped:
            return
        self.height += 1
        due, self.due = self.due, []
        for work in due:
            work()
        txs, self.mempool = self.mempool, []
        self.blocks[self.height] = txs
        for tx in txs:
            result = {"code": self.fail_code, "gas_used": "90000", "log": "out of gas"}
            name = hashlib.sha256(tx).hexdigest().upper()
            self.results[name] = {"height": str(self.height), "tx_result": result}
            if self.fail_code == 0:
                self.deliver(tx)

    def check(self, tx: bytes) -> str | None:
        """Why a transaction is not taken."""
        owner, sequence, _, _ = self.read(tx)
        account = self.accounts[owner]
        if sequence != account[1]:
            return f"account sequence mismatch, expected {account[1]}, got {sequence}"
        account[1] += 1
        self.mempool.append(tx)
        return None

    def read(self, tx: bytes) -> tuple[str, int, str, dict[int, list[protobuf.Value]]]:
        """Owner, sequence, message type, message."""
        raw = protobuf.parse(tx)
        message = protobuf.parse(_one(protobuf.parse(_one(raw, 1)), 1))
        info = protobuf.parse(_one(protobuf.parse(_one(raw, 2)), 1))
        url, body = _one(message, 1).decode(), protobuf.parse(_one(message, 2))
        sequence = info.get(3, [0])[0]
        assert isinstance(sequence, int)
        data = _one(body, 2 if url.endswith("MsgProvision") else 1)
        owner = next(known for known in self.accounts if bech32.decode(known) == data)
        return owner, sequence, url, body

    def deliver(self, tx: bytes) -> None:
        owner, _, url, body = self.read(tx)
        if self.silent:
            return
        if url.endswith("MsgProvision"):
            self.wallets[owner] = FakeWallet()
            self.due.append(lambda: self.publish_current(owner))
            return
        action = capdata.decode(_one(body, 2).decode())
        self.due.append(lambda: self.execute(owner, action["offer"]))

    def execute(self, owner: str, offer: Json) -> None:
        """An offer's statuses, all in one block."""
        wallet, path = self.wallets[owner], f"published.wallet.{owner}"
        self.offers.append(offer["id"])
        status = {"id": offer["id"]}
        self.publish(path, {"updated": "offerStatus", "status": status})
        if self.error is not None:
            failed = {**status, "error": self.error}
            self.publish(path, {"updated": "offerStatus", "status": failed})
            return
        result, payouts = self.contract(wallet, offer)
        for keyword, amount in offer["proposal"].get("give", {}).items():
            payouts.setdefault(keyword, {"brand": amount["brand"], "value": 0})
            wallet.purses[amount["brand"]] -= amount["value"]
        for amount in payouts.values():
            wallet.purses[amount["brand"]] = wallet.purses.get(amount["brand"], 0) + amount["value"]
        for more in ({"result": result}, {"numWantsSatisfied": 1}, {"payouts": payouts}):
            status = {**status, **more}
            self.publish(path, {"updated": "offerStatus", "status": status})
        self.publish(path, {"updated": "balance", "currentAmount": {"brand": A, "value": 1}})
        self.publish_current(owner)

    def contract(self, wallet: FakeWallet, offer: Json) -> tuple[str, dict[str, Json]]:
        spec, proposal = offer["invitationSpec"], offer["proposal"]
        give, want = proposal.get("give", {}), proposal.get("want", {})
        if spec["source"] == "continuing":
            vault, sign = spec["previousOffer"], 1 if want else -1
            wallet.vaults[vault] += sign * {**give, **want}["Minted"]["value"]
            return f"debt {wallet.vaults[vault]}", dict(want)
        method = spec["callPipe"][0][0]
        if method == "makeFaucetInvitation":
            value = want["Token"]["value"] if self.minted is None else self.minted
            return "minted", {"Token": {"brand": A, "value": value}}
        if method == "makeVaultInvitation":
            wallet.vaults[offer["id"]] = want["Minted"]["value"]
            return "UNPUBLISHED", dict(want)
        into, out = give["In"]["brand"], want["Out"]["brand"]
        before = self.reserves[into], self.reserves[out]
        paid, bought = give["In"]["value"], want["Out"]["value"]
        if method == "makeSwapOutInvitation":
            paid = before[0] * bought // (before[1] - bought) + 1
        else:
            bought = before[1] * paid // (before[0] + paid)
        self.reserves[into] += paid
        self.reserves[out] -= bought
        rest = {"brand": into, "value": give["In"]["value"] - paid}
        return f"{before[0]} {before[1]}", {"In": rest, "Out": {"brand": out, "value": bought}}

    def publish_current(self, owner: str) -> None:
        wallet = self.wallets[owner]
        purses = [
            {"brand": brand, "balance": {"brand": brand, "value": value}}
            for brand, value in wallet.purses.items()
        ]
        used = [[vault, {"value": [], "brand": B}] for vault in wallet.vaults]
        current = {"purses": purses, "offerToUsedInvitation": used, "liveOffers": []}
        self.publish(f"published.wallet.{owner}.current", current)

    def fund(self, count: int) -> list[str]:
        """Addresses of so many accounts."""
        made = [address(number) for number in range(count)]
        self.accounts.update({one: [number + 5, 0] for number, one in enumerate(made)})
        return made


class FakeSigner:
    """Signs nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int, int]] = []
        """Key, first sequence, transactions."""

    def sign(self, key: str, account: Account, messages: Sequence[Message]) -> list[bytes]:
        self.batches.append((key, account.sequence, len(messages)))
        return [
            encoded(message, signed_json(account.sequence + number))
            for number, message in enumerate(messages)
        ]


def signed_json(sequence: int) -> dict[str, Json]:
    """What the tool writes of a signed transaction, as far as it is read."""
    key = base64.b64encode(b"k" * 33).decode()
    return {
        "auth_info": {
            "signer_infos": [{"public_key": {"key": key}, "sequence": str(sequence)}],
        },
        "signatures": [base64.b64encode(b"s" * 64).decode()],
    }


@contextmanager
def serving(chain: FakeChain) -> Iterator[int]:
    """The chain's RPC; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            self.reply(lambda: answer(chain, url.path[1:], asked))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.reply(lambda: answer(chain, body["method"], body["params"]))

        def reply(self, ask: Callable[[], dict[str, Json]]) -> None:
            with chain.lock:
                if chain.hang_ups > 0:
                    chain.hang_ups -= 1
                    return
                data = json.dumps({"jsonrpc": "2.0", "id": 1, **ask()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: the tests' output is their own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(chain: FakeChain, method: str, asked: dict[str, str]) -> dict[str, Json]:
    """A request's `result` or `error`."""
    if method == "abci_info":
        chain.make_block()
        return {"result": {"response": {"last_block_height": str(chain.height)}}}
    if method == "broadcast_tx_sync":
        refused = chain.check(base64.b64decode(asked["tx"]))
        return {"result": {"code": 32 if refused else 0, "log": refused or "", "hash": "X"}}
    if method == "block":
        txs = chain.blocks.get(int(asked["height"]), [])
        data = {"txs": [base64.b64encode(tx).decode() for tx in txs]}
        return {"result": {"block": {"data": data}}}
    if method == "tx":
        found = chain.results.get(asked["hash"][2:])
        return {"result": found} if found else {"error": {"data": "tx (X) not found"}}
    assert method == "abci_query"
    value = query(chain, asked)
    if value is None:
        return {"result": {"response": {"code": 22, "log": "account x not found"}}}
    return {"result": {"response": {"code": 0, "value": base64.b64encode(value).decode()}}}


def query(chain: FakeChain, asked: dict[str, str]) -> bytes | None:
    argument = _one(protobuf.parse(bytes.fromhex(asked["data"][2:])), 1).decode()
    if "Account" in asked["path"]:
        if argument not in chain.accounts:
            return None
        number, sequence = chain.accounts[argument]
        base = protobuf.message((1, argument), (3, number), (4, sequence))
        return protobuf.message((1, protobuf.message((1, "/BaseAccount"), (2, base))))
    cells = chain.cells.get(argument, {})
    limit = int(asked.get("height", chain.height))
    heights = [height for height in cells if height <= limit]
    if not heights:
        return b""
    cell = {"blockHeight": str(max(heights)), "values": cells[max(heights)]}
    return protobuf.message((1, json.dumps(cell)))


def _one(fields: dict[int, list[protobuf.Value]], number: int) -> bytes:
    value = fields[number][0]
    assert isinstance(value, bytes)
    return value
