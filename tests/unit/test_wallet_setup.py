"""What a chain is given for load by smart wallets: genesis, bootstrap configuration, signatures."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from images.loadgen.agoric.wallet.walletload import bech32, capdata, protobuf
from images.loadgen.agoric.wallet.walletload.capdata import Slot
from images.loadgen.agoric.wallet.walletload.errors import LoadError
from images.loadgen.agoric.wallet.walletload.rpc import Account
from images.loadgen.agoric.wallet.walletload.signer import ToolSigner, provision, spend_action
from tests.unit.test_sdks_agoric import make
from tests.wallet_chain import address

from loadgenctl import resources
from loadgenctl.sdks.base import RoleContext

POOL = "agoric1megzytg65cyrgzs6fvzxgrcqvwwl7ugpt62346"

GENESIS: dict[str, Any] = {
    "app_state": {
        "auth": {"accounts": []},
        "bank": {
            "balances": [{"address": "agoric1x", "coins": [{"denom": "ubld", "amount": "5"}]}],
            "supply": [{"denom": "ubld", "amount": "5"}],
        },
        "swingset": {
            "params": {
                "beans_per_unit": [
                    {"key": "blockComputeLimit", "beans": "800000000"},
                    {"key": "xsnapComputron", "beans": "100"},
                ]
            }
        },
    }
}


@pytest.fixture
def setup() -> Iterator[Any]:
    """The set-up scripts' modules, by name."""
    folder = str(resources.images("loadgen", "agoric") / "setup")
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(folder)


def prices(genesis: dict[str, Any]) -> dict[str, str]:
    listed = genesis["app_state"]["swingset"]["params"]["beans_per_unit"]
    return {price["key"]: price["beans"] for price in listed}


def test_the_compute_limit_is_written_in_the_beans_of_the_genesis(setup: Any) -> None:
    changed = setup("genesis").with_compute_limit(GENESIS, 65_000_000)
    assert prices(changed)["blockComputeLimit"] == "6500000000"
    dearer = json.loads(json.dumps(GENESIS).replace('"100"', '"7"'))
    changed = setup("genesis").with_compute_limit(dearer, 10)
    assert prices(changed)["blockComputeLimit"] == "70"
    assert prices(GENESIS)["blockComputeLimit"] == "800000000"


@pytest.mark.parametrize("lacks", ["blockComputeLimit", "xsnapComputron", "beans_per_unit"])
def test_a_genesis_without_a_compute_limit_is_refused(setup: Any, lacks: str) -> None:
    older = json.loads(json.dumps(GENESIS).replace(lacks, "other"))
    with pytest.raises(setup("cosmos").SetupError, match="no compute limit"):
        setup("genesis").with_compute_limit(older, 1)


def test_accounts_of_the_genesis_hold_coins_and_the_supply_is_their_sum(setup: Any) -> None:
    genesis = setup("genesis")
    changed = genesis.with_accounts(GENESIS, ["agoric1a", "agoric1b"], {"uist": 7, "ubld": 10})
    changed = genesis.with_balances(changed, ["agoric1m"], {"ubld": 100})
    auth, bank = changed["app_state"]["auth"], changed["app_state"]["bank"]
    assert [account["address"] for account in auth["accounts"]] == ["agoric1a", "agoric1b"]
    coins = [{"denom": "ubld", "amount": "10"}, {"denom": "uist", "amount": "7"}]
    assert {"address": "agoric1a", "coins": coins} in bank["balances"]
    assert bank["supply"] == [{"denom": "ubld", "amount": "125"}, {"denom": "uist", "amount": "14"}]


def test_a_supply_that_the_chain_counts_itself_stays_empty(setup: Any) -> None:
    counted = json.loads(json.dumps(GENESIS))
    counted["app_state"]["bank"]["supply"] = []
    changed = setup("genesis").with_balances(counted, ["agoric1m"], {"ubld": 1})
    assert changed["app_state"]["bank"]["supply"] == []


def test_no_account_is_made_twice(setup: Any) -> None:
    with pytest.raises(setup("cosmos").SetupError, match="already"):
        setup("genesis").with_accounts(GENESIS, ["agoric1x"], {"ubld": 1})


def test_a_genesis_without_accounts_is_refused(setup: Any) -> None:
    with pytest.raises(setup("cosmos").SetupError, match="no list balances of module bank"):
        setup("genesis").with_balances({"app_state": {}}, ["agoric1m"], {"ubld": 1})


def test_the_address_of_the_pool_follows_from_its_modules_name(setup: Any) -> None:
    assert setup("wallets").POOL == POOL
    assert bech32.decode(POOL) == hashlib.sha256(b"vbank/provision").digest()[:20]


def tree(tmp_path: Path, *homes: str, config: Any = None) -> Path:
    """An SDK that keeps its demo configuration in these packages."""
    src = tmp_path / "src"
    (src / "node_modules").mkdir(parents=True)
    for home in homes:
        folder = src / "packages" / home
        folder.mkdir(parents=True)
        text = json.dumps({"name": home, "coreProposals": []} if config is None else config)
        (folder / "decentral-demo-config.json").write_text(text, encoding="utf-8")
    return src


CODE = resources.images("loadgen", "agoric") / "wallet"


@pytest.mark.parametrize(
    ("homes", "taken"),
    [(("vats",), "vats"), (("vats", "boot"), "boot"), (("boot", "vm-config"), "vm-config")],
)
def test_the_bootstrap_is_the_revisions_own_and_one_proposal_more(
    setup: Any, tmp_path: Path, homes: tuple[str, ...], taken: str
) -> None:
    src, folder = tree(tmp_path, *homes), tmp_path / "project" / "wallet"
    path = setup("bootstrap").write(folder, src, CODE, None)
    config = json.loads(path.read_text(encoding="utf-8"))
    assert config["name"] == taken
    assert config["coreProposals"] == [str(folder / "builder.js")]
    # The builder names the other two, and all find the SDK's packages.
    for name in ("builder.js", "proposal.js", "contract.js", "package.json"):
        assert (folder / name).is_file()
    assert (folder / "node_modules").resolve() == (src / "node_modules").resolve()


def test_a_bootstrap_is_made_again_after_a_set_up_that_was_killed(
    setup: Any, tmp_path: Path
) -> None:
    src, folder = tree(tmp_path, "vats"), tmp_path / "wallet"
    setup("bootstrap").write(folder, src, CODE, None)
    assert setup("bootstrap").write(folder, src, CODE, None).is_file()


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ({}, ["mine"]),
        ({"coreProposals": ["a", {"module": "b"}]}, ["a", {"module": "b"}, "mine"]),
        ({"coreProposals": {"steps": [["a"], ["b"]]}}, {"steps": [["a"], ["b"], ["mine"]]}),
    ],
)
def test_all_forms_of_core_proposals_are_extended(setup: Any, listed: Any, expected: Any) -> None:
    assert setup("bootstrap").with_proposal(listed, "mine")["coreProposals"] == expected


def test_a_bootstrap_of_the_users_is_kept_with_its_own_paths(setup: Any, tmp_path: Path) -> None:
    src = tree(tmp_path, "vm-config")
    own = tmp_path / "own" / "config.json"
    own.parent.mkdir()
    vats = {"x": {"sourceSpec": "./vat.js"}, "y": {"sourceSpec": "@agoric/vats/src/y.js"}}
    own.write_text(json.dumps({"vats": vats}), encoding="utf-8")
    path = setup("bootstrap").write(tmp_path / "wallet", src, CODE, own)
    config = json.loads(path.read_text(encoding="utf-8"))
    assert config["vats"]["x"]["sourceSpec"] == str(own.parent / "vat.js")
    assert config["vats"]["y"]["sourceSpec"] == "@agoric/vats/src/y.js"


def test_a_bootstrap_of_a_person_is_placed_beside_the_sdks_packages(
    setup: Any, tmp_path: Path
) -> None:
    bootstrap = setup("bootstrap")
    src, given, folder = tmp_path / "src", tmp_path / "given.json", tmp_path / "bootstrap"
    (src / "node_modules" / "@agoric" / "vats").mkdir(parents=True)
    given.write_text('{"vats": {"bootstrap": {"sourceSpec": "@agoric/vats/x.js"}}}')
    for _ in range(2):
        placed = bootstrap.place(folder, src, given)
        assert placed.read_text() == given.read_text()
        assert (placed.parent / "node_modules" / "@agoric" / "vats").is_dir()
    given.write_text("[]")
    with pytest.raises(Exception, match="is not a JSON object"):
        bootstrap.place(folder, src, given)


@pytest.mark.parametrize(
    ("homes", "config", "reason"),
    [
        ((), None, "has no decentral-demo-config.json"),
        (("vats",), ["not", "an", "object"], "is not a JSON object"),
        (("vats",), {"coreProposals": "x"}, "unknown form"),
    ],
)
def test_a_bootstrap_that_cannot_be_made_says_why(
    setup: Any, tmp_path: Path, homes: tuple[str, ...], config: Any, reason: str
) -> None:
    src = tree(tmp_path, *homes, config=config)
    with pytest.raises(setup("cosmos").SetupError, match=reason):
        setup("bootstrap").write(tmp_path / "wallet", src, CODE, None)


def test_a_chain_is_made_for_wallets_only_where_they_are_the_client() -> None:
    sdk = make()
    for client, limit, expected in (("solo", None, []), ("wallet", 9, ["--compute-limit", "9"])):
        ctx = RoleContext(stage=0, client=client, compute_limit=limit)  # type: ignore[arg-type]
        chain = sdk.chain(ctx)
        (command,) = chain.prepare
        more = ["--wallets", "/src"] if client == "wallet" else []
        assert list(command.argv[command.argv.index("--stable") + 2 :]) == expected + more
        config = chain.command.env.get("CHAIN_BOOTSTRAP_VAT_CONFIG")
        assert (config == "/state/project/wallet/bootstrap.json") == (client == "wallet")


def test_the_driver_of_wallets_is_told_its_stage_and_the_chains_port() -> None:
    argv = make().loadgen(RoleContext(stage=3, client="wallet")).command.argv
    driver = argv[argv.index("--") + 1 :]
    assert driver[1].endswith("/wallet/driver.py")
    assert driver[driver.index("--stage") + 1] == "3"
    assert driver[driver.index("--rpc-port") + 1] == "26657"


# What is signed.

TOOL = """#!/usr/bin/env python3
import base64, json, sys
options = dict(o[2:].split("=", 1) for o in sys.argv if o.startswith("--") and "=" in o)
assert sys.argv[1:3] == ["tx", "sign-batch"] and "--offline" in sys.argv
if options["from"] == "absent":
    sys.exit("Error: absent: key not found\\nUsage:\\n  agd tx sign-batch [file]")
key = base64.b64encode(b"k" * 33).decode()
lines = open(sys.argv[3]).read().splitlines()
with open(options["output-document"], "w") as out:
    for number, line in enumerate(lines):
        tx, sequence = json.loads(line), int(options["sequence"]) + number
        info = {"public_key": {"@type": "x", "key": key}, "sequence": str(sequence)}
        tx["auth_info"]["signer_infos"] = [info]
        tx["signatures"] = [base64.b64encode(options["account-number"].encode()).decode()]
        out.write(json.dumps(tx) + "\\n")
"""


@pytest.fixture
def signer(tmp_path: Path) -> ToolSigner:
    tool = tmp_path / "agd"
    tool.write_text(TOOL, encoding="utf-8")
    tool.chmod(0o755)
    return ToolSigner(str(tool), tmp_path, "agoric")


def one(data: Any, number: int) -> Any:
    return protobuf.parse(data)[number][0]


def test_signed_transactions_have_the_bytes_that_the_chain_reads(signer: ToolSigner) -> None:
    owner = address(1)
    messages = [spend_action(owner, "action"), provision(owner, "nick")]
    made = signer.sign("key", Account(17, 300), messages)
    for number, tx in enumerate(made):
        info = one(one(tx, 2), 1)
        assert one(info, 3) == 300 + number
        assert one(one(one(info, 1), 2), 1) == b"k" * 33
        assert one(tx, 3) == b"17"
    spend = one(one(made[0], 1), 1)
    assert one(spend, 1) == b"/agoric.swingset.MsgWalletSpendAction"
    assert protobuf.parse(one(spend, 2)) == {1: [bech32.decode(owner)], 2: [b"action"]}


def test_a_sequence_of_zero_is_left_out_as_the_chain_leaves_it_out(signer: ToolSigner) -> None:
    (tx,) = signer.sign("key", Account(0, 0), [spend_action(address(1), "x")])
    assert 3 not in protobuf.parse(one(one(tx, 2), 1))


def test_the_tools_reason_is_told_without_its_page_of_usage(signer: ToolSigner) -> None:
    with pytest.raises(LoadError, match=r"for absent: Error: absent: key not found$"):
        signer.sign("absent", Account(1, 1), [spend_action(address(1), "x")])


def test_a_tool_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="cannot sign with /no/agd"):
        ToolSigner("/no/agd", tmp_path, "agoric").sign("key", Account(1, 1), [])


# What wallets publish.


def test_values_survive_encoding_and_decoding() -> None:
    brand = Slot("board01")
    value = {
        "n": 1000,
        "neg": -5,
        "s": "!x",
        "plain": "open-1",
        "b": [brand, Slot("board02"), brand],
    }
    text = capdata.encode(value)
    assert json.loads(text)["slots"] == ["board01", "board02"]
    assert capdata.decode(text) == value


def test_both_encodings_of_published_values_are_read() -> None:
    old = {
        "brand": {"@qclass": "slot", "iface": "Alleged: LoadA brand", "index": 0},
        "value": {"@qclass": "bigint", "digits": "7"},
        "error": {"@qclass": "error", "name": "Error", "message": "no"},
    }
    new = {"brand": "$0.Alleged: LoadA brand", "value": "+7", "error": {"#error": "no"}}
    for body in (json.dumps(old), "#" + json.dumps(new)):
        value = capdata.decode(json.dumps({"body": body, "slots": ["board9"]}))
        assert value == {"brand": Slot("board9"), "value": 7, "error": "error: no"}


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"body":"#[","slots":[]}', '{"body":"#\\"$3\\"","slots":[]}']
)
def test_what_is_no_capdata_is_an_error_for_a_person(text: str) -> None:
    with pytest.raises(LoadError, match="no CapData"):
        capdata.decode(text)
