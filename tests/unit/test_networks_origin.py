"""Origins: folders and URLs, and the block that state-sync begins at."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from tests.fakes import FakeClock
from tests.unit.test_networks_document import HASH, RAW, document

from loadgenctl.errors import RunError, UsageError
from loadgenctl.model import TrustPoint
from loadgenctl.networks.description import parse_config
from loadgenctl.networks.fetch import HttpFetch, Limit, read_file
from loadgenctl.networks.origin import OriginReader
from loadgenctl.networks.publish import network_config, node_id, trusted_block
from loadgenctl.plainfile import RolePath

ORIGIN = "https://net.example.org"
BLOCK_HASH = "AB" * 32


class Answers:
    """A `Fetch` that knows its answers."""

    def __init__(self, **documents: bytes) -> None:
        self.documents = {f"{ORIGIN}/{name}": data for name, data in documents.items()}
        self.asked: list[str] = []
        self.private: dict[str, bool] = {}

    def __call__(self, url: str, limit: Limit, *, private: bool = False) -> bytes:
        self.asked.append(url)
        self.private[url] = private
        if url not in self.documents:
            raise RunError(f"nobody answers at {url}", role="network")
        return self.documents[url]


def answers(**changes: Any) -> Answers:
    return Answers(**{"network-config": document(**changes), "genesis.json": RAW})


def block(height: int, **changes: Any) -> bytes:
    header = {"height": str(height), "chain_id": "net-1", **changes}
    result = {"block_id": {"hash": BLOCK_HASH}, "block": {"header": header}}
    return json.dumps({"result": result}).encode()


def status(newest: int, **changes: Any) -> bytes:
    sync = {"latest_block_height": str(newest), "earliest_block_height": "1", **changes}
    return json.dumps({"result": {"sync_info": sync}}).encode()


def test_a_url_is_asked_for_both_documents() -> None:
    fetch = answers()
    said: list[str] = []
    found = OriginReader(fetch).read(ORIGIN, state_sync=False, say=said.append)
    assert fetch.asked == [f"{ORIGIN}/network-config", f"{ORIGIN}/genesis.json"]
    assert found.network.chain_id == "net-1"
    assert found.network.identity == HASH
    assert found.network.trust is None
    assert (found.config, found.genesis) == (document(), RAW)
    assert said == [f"reading the network's configuration from {ORIGIN}"]


def test_a_genesis_may_stand_elsewhere() -> None:
    fetch = answers(gci="https://rpc.example.org/genesis")
    fetch.documents["https://rpc.example.org/genesis"] = RAW
    OriginReader(fetch).read(ORIGIN, state_sync=False)
    assert fetch.asked[-1] == "https://rpc.example.org/genesis"


def test_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "network-config").write_bytes(document())
    (tmp_path / "genesis.json").write_bytes(RAW)
    found = OriginReader(Answers()).read(str(tmp_path), state_sync=False)
    assert found.genesis == RAW
    (tmp_path / "genesis.json").unlink()
    with pytest.raises(UsageError, match=r"cannot read .*genesis\.json: No such file"):
        OriginReader(Answers()).read(str(tmp_path), state_sync=False)
    with pytest.raises(UsageError, match=r"cannot read .*/network-config: No such file"):
        OriginReader(Answers()).read(str(tmp_path / "nowhere"), state_sync=False)


def test_a_folders_documents_are_files_of_a_limited_size(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="it is a folder, not a plain file"):
        read_file(tmp_path / "folder", Limit(10, 1.0))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="it is a pipe, not a plain file"):
        read_file(tmp_path / "pipe", Limit(10, 1.0))
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(UsageError, match="larger than"):
        read_file(tmp_path / "large", Limit(10, 1.0))


def test_state_sync_trusts_a_block_some_way_behind_the_newest() -> None:
    fetch = answers()
    server = "http://rpc.example.org:26657"
    fetch.documents |= {
        f"{server}/status": status(5000),
        f"{server}/block?height=3000": block(3000),
    }
    found = OriginReader(fetch).read(ORIGIN, state_sync=True)
    assert found.network.trust is not None
    assert (found.network.trust.height, found.network.trust.block_hash) == (3000, BLOCK_HASH)
    assert not any(fetch.private.values()), "an origin by https asks nothing unencrypted"


@pytest.mark.parametrize(
    ("told", "height"),
    [
        (status(9), 1),
        (status(2001), 1),
        (status(5000, earliest_block_height="4200"), 4200),
        (status(5000).replace(b"earliest", b"other"), 3000),
    ],
)
def test_state_sync_trusts_no_block_that_the_node_does_not_have(told: bytes, height: int) -> None:
    fetch = answers()
    server = "http://rpc.example.org:26657"
    fetch.documents |= {
        f"{server}/status": told,
        f"{server}/block?height={height}": block(height),
    }
    found = OriginReader(fetch).read(ORIGIN, state_sync=True)
    assert found.network.trust is not None
    assert found.network.trust.height == height


def test_a_block_that_the_network_names_is_trusted_without_a_question() -> None:
    info = {"height": 41, "hash": BLOCK_HASH.lower()}
    fetch = answers(trustedBlockInfo=info)
    found = OriginReader(fetch).read(ORIGIN, state_sync=True)
    assert found.network.trust == TrustPoint(41, BLOCK_HASH)
    assert len(fetch.asked) == 2
    assert OriginReader(fetch).read(ORIGIN, state_sync=False).network.trust is None


def test_a_folder_may_name_servers_of_a_private_network(tmp_path: Path) -> None:
    server = "http://172.17.0.2:26657"
    config = document(gci=f"{server}/genesis", rpcAddrs=["172.17.0.2:26657"])
    (tmp_path / "network-config").write_bytes(config)
    fetch = Answers()
    fetch.documents |= {
        f"{server}/genesis": RAW,
        f"{server}/status": status(30),
        f"{server}/block?height=1": block(1),
    }
    found = OriginReader(fetch).read(str(tmp_path), state_sync=True)
    assert found.network.trust == TrustPoint(1, BLOCK_HASH)
    assert fetch.private == dict.fromkeys(fetch.asked, True)


@pytest.mark.parametrize(
    ("newest", "trusted", "error", "why"),
    [
        (b"nonsense", b"", RunError, "did not answer with a node's status"),
        (b'{"result": {"sync_info": []}}', b"", RunError, "did not answer with a node's status"),
        (status(9), b"nonsense", RunError, "did not answer with a block"),
        (status(9), block(1, chain_id="net-2"), UsageError, "answers for the chain 'net-2'"),
        (status(9), block(8), RunError, "answered a query for block 1 with block 8"),
        (status(9), block(1).replace(b"AB", b"x", 1), RunError, "answered without a block's hash"),
    ],
)
def test_a_block_that_cannot_be_trusted_is_none(
    newest: bytes, trusted: bytes, error: type[Exception], why: str
) -> None:
    fetch = answers()
    server = "http://rpc.example.org:26657"
    fetch.documents |= {f"{server}/status": newest, f"{server}/block?height=1": trusted}
    with pytest.raises(error, match=why):
        OriginReader(fetch).read(ORIGIN, state_sync=True)


class Server(ThreadingHTTPServer):
    """Answers on loopback as the path says."""

    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://example.org/genesis")
            self.end_headers()
            return
        if self.path == "/here":
            self.send_response(302)
            self.send_header("Location", "/small")
            self.end_headers()
            return
        self.send_response(200 if self.path in {"/small", "/large"} else 404)
        self.end_headers()
        self.wfile.write(b"x" * (10 if self.path == "/small" else 1000))


@pytest.fixture
def server() -> Iterator[str]:
    made = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()
    thread.join()


def test_loopback_is_asked_within_limits(server: str) -> None:
    fetch, limit = HttpFetch(), Limit(100, 10.0)
    assert fetch(f"{server}/small", limit) == b"x" * 10
    assert fetch(f"{server}/here", limit) == b"x" * 10
    with pytest.raises(UsageError, match="larger than"):
        fetch(f"{server}/large", limit)
    with pytest.raises(RunError, match="404"):
        fetch(f"{server}/missing", limit)
    with pytest.raises(UsageError, match="is not encrypted"):
        fetch(f"{server}/away", limit)
    with pytest.raises(UsageError, match="is not encrypted"):
        fetch("http://example.org/", limit)


def test_a_private_network_is_asked_without_a_proxy_and_only_where_that_is_allowed(
    server: str,
) -> None:
    # A link-local address without its link: the system refuses it at once.
    url, fetch = "http://[fe80::1]:9/status", HttpFetch(proxies={"http_proxy": server})
    with pytest.raises(UsageError, match="is not encrypted"):
        fetch(url, Limit(100, 5.0))
    with pytest.raises(RunError) as asked:
        fetch(url, Limit(100, 5.0), private=True)
    assert "404" not in asked.value.message, "that is the proxy's answer"


def test_a_deadline_holds_for_the_whole_of_it(server: str) -> None:
    class Hasty(FakeClock):
        def monotonic(self) -> float:
            self.advance(6.0)
            return super().monotonic()

    with pytest.raises(RunError, match="took longer than 5 s"):
        HttpFetch(clock=Hasty())(f"{server}/small", Limit(100, 5.0))


def test_nobody_there_is_told_as_the_network(server: str) -> None:
    with pytest.raises(RunError, match="refused") as gone:
        HttpFetch()("http://127.0.0.1:1/network-config", Limit(100, 5.0))
    assert (gone.value.role, gone.value.exit_code) == ("network", 4)


def test_what_a_chain_of_ours_offers_can_be_followed(tmp_path: Path) -> None:
    public = b"p" * 32
    key = {"priv_key": {"type": "x", "value": base64.b64encode(b"s" * 32 + public).decode()}}
    (tmp_path / "node_key.json").write_text(json.dumps(key))
    node = node_id(RolePath(tmp_path, PurePosixPath("node_key.json")))
    assert node == hashlib.sha256(public).hexdigest()[:40]
    config = parse_config(network_config(RAW, node, "a-holder-0", 36657), "ours")
    assert config.chain_id == "net-1"
    assert config.gci == HASH
    assert config.peers == (f"{node}@a-holder-0:26656",)
    assert config.rpc == ("a-holder-0:36657",)
    for spoilt in ("", "{}", '{"priv_key": {"value": "AAAA"}}', '{"priv_key": {"value": "?"}}'):
        (tmp_path / "node_key.json").write_text(spoilt)
        with pytest.raises(RunError, match="key"):
            node_id(RolePath(tmp_path, PurePosixPath("node_key.json")))


def test_a_chain_of_ours_names_its_newest_block_for_state_sync() -> None:
    sync = {"latest_block_height": "7", "latest_block_hash": BLOCK_HASH.lower()}
    trust = trusted_block({"sync_info": sync})
    assert trust == TrustPoint(7, BLOCK_HASH)
    nothing: tuple[object, ...] = (
        None,
        {},
        {"sync_info": []},
        {"sync_info": {**sync, "latest_block_height": "0"}},
    )
    for odd in nothing:
        assert trusted_block(odd) is None
    config = network_config(b'{"chain_id": "net-1"}', "a" * 40, "holder", 36657, trust)
    assert parse_config(config, "it").trust == trust
