"""The Agoric set-up scripts with stand-ins for the SDK's tools of 2021 and of today."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadgenctl import resources

SETUP = resources.images("loadgen", "agoric") / "setup"
TOOL = '''#!{python}
"""Stands for agd. What it is called with goes to a file; MODERN in the environment: of today."""
import json, os, sys
from pathlib import Path
argv, modern = sys.argv[1:], os.environ.get("MODERN")
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), *argv]) + "\\n")
def home():
    return Path(next(word[7:] for word in argv if word.startswith("--home=")))
if "set-defaults" in argv:
    config = Path(argv[-1])
    with (config / "app.toml").open("a") as app:
        app.write("[rosetta]\\nenable = true\\n" if modern else "")
elif argv[0] == "genesis":
    if not modern:
        sys.exit('Error: unknown command "genesis" for "agd"')
    print("  add-genesis-account ADDRESS COINS")
elif argv[0] == "init":
    config = home() / "config"
    config.mkdir(parents=True)
    fee = [{{"denom": "ubld", "amount": "1000000"}}] if modern else []
    app = {{
        "swingset": {{"params": {{"fee_unit_price": fee}}}},
        "auth": {{"accounts": []}},
        "bank": {{"balances": [], "supply": []}},
    }}
    (config / "genesis.json").write_text(json.dumps({{"app_state": app}}))
    (config / "app.toml").write_text("[grpc]\\nenable = true\\n[grpc-web]\\nenable = true\\n")
    (config / "config.toml").write_text('[rpc]\\npprof_laddr = "localhost:6060"\\n')
elif argv[:2] == ["keys", "show"]:
    print("agoric1" + argv[2])
elif argv[0] == "query":
    if modern and any(word.startswith("--chain-id") for word in argv):
        sys.exit("Error: unknown flag: --chain-id")
    funded = Path(os.environ["CALLS"] + ".funded")
    if argv[1:3] == ["swingset", "egress"]:
        sys.exit(0 if Path(os.environ["CALLS"] + ".known").exists() else "Error: not found")
    coins = funded.read_text().split(",") if argv[1] == "bank" and funded.exists() else []
    pairs = [(word.lstrip("0123456789"), word) for word in coins]
    balances = [{{"denom": d, "amount": w[: len(w) - len(d)]}} for d, w in pairs]
    print(json.dumps({{"balances": balances, "code": 0, "height": "7"}}))
elif argv[0] == "tx":
    kind, what = (".funded", argv[5]) if argv[1] == "bank" else (".known", "")
    Path(os.environ["CALLS"] + kind).write_text(what)
    print(json.dumps({{"code": 0, "txhash": "AB"}}))
'''


class World:
    """A project folder and the tools that set it up."""

    def __init__(self, folder: Path, *, modern: bool) -> None:
        self.project, self.calls_file = folder / "project", folder / "calls"
        programs = folder / "bin"
        programs.mkdir()
        for name in ("agd", "agoric"):
            (programs / name).write_text(TOOL.format(python=sys.executable))
            (programs / name).chmod(0o755)
        self.env = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder / "home"),
            "CALLS": str(self.calls_file),
            **({"MODERN": "1"} if modern else {}),
        }
        self.stable = "uist" if modern else "urun"

    def script(self, name: str, *options: str) -> str:
        """Run a set-up script; what it prints."""
        done = subprocess.run(
            [sys.executable, str(SETUP / name), "--project", str(self.project), *options],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make_chain(self) -> None:
        self.script("init_chain.py", "--helper", "agd", "--stable", self.stable)

    def make_client(self) -> None:
        solo = self.project / "solo"
        solo.mkdir()
        identity = (self.project / "chain/config/genesis.json.sha256").read_text()
        connection = {"type": "chain-cosmos-sdk", "GCI": identity}
        (solo / "connections.json").write_text(json.dumps([connection]))
        (solo / "ag-cosmos-helper-address").write_text("agoric1client\n")

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]


@pytest.fixture
def of_today(tmp_path: Path) -> World:
    return World(tmp_path, modern=True)


@pytest.fixture
def of_2021(tmp_path: Path) -> World:
    return World(tmp_path, modern=False)


def account_of_payer(world: World) -> list[str]:
    return next(call for call in world.calls() if "agoric1provision" in call)


def test_the_genesis_commands_are_called_where_the_tool_has_them(of_today: World) -> None:
    of_today.make_chain()
    assert account_of_payer(of_today)[:3] == ["agd", "genesis", "add-genesis-account"]
    grouped = [call[2] for call in of_today.calls() if call[1] == "genesis"][1:]
    assert grouped[-3:] == ["gentx", "collect-gentxs", "validate-genesis"]


def test_an_old_tool_has_its_genesis_commands_at_the_top(of_2021: World) -> None:
    of_2021.make_chain()
    assert account_of_payer(of_2021)[:2] == ["agd", "add-genesis-account"]
    assert [call[1] for call in of_2021.calls()][-1] == "validate-genesis"


def test_a_chain_does_not_listen_where_a_run_does_not_ask(of_today: World) -> None:
    of_today.make_chain()
    config = of_today.project / "chain" / "config"
    app = (config / "app.toml").read_text()
    assert app == "[grpc]\nenable = true\n[grpc-web]\nenable = false\n[rosetta]\nenable = false\n"
    assert (config / "config.toml").read_text() == '[rpc]\npprof_laddr = ""\n'


def test_the_accounts_of_wallets_are_in_the_chains_home_so_that_saved_storage_has_them(
    of_today: World, tmp_path: Path
) -> None:
    src = tmp_path / "src"
    demo = src / "packages" / "vm-config" / "decentral-demo-config.json"
    demo.parent.mkdir(parents=True)
    demo.write_text("{}")
    of_today.script("init_chain.py", "--helper", "agd", "--stable", "uist", "--wallets", str(src))
    accounts = json.loads((of_today.project / "chain/wallets/accounts.json").read_text())
    assert {task: len(of_task) for task, of_task in accounts.items()} == {
        "faucet": 8,
        "amm": 8,
        "vault": 8,
    }
    # The chain is built beside its place and moved there.
    home = f"--home={of_today.project / 'chain.part' / 'wallets' / 'keys'}"
    shown = [call for call in of_today.calls() if call[3:4] == ["load-amm-0"]]
    assert shown
    assert all(call[-1] == home for call in shown)


def test_a_chain_of_2021_keeps_its_genesis(of_2021: World) -> None:
    of_2021.make_chain()
    coins = account_of_payer(of_2021)[3]
    assert coins == "100000000ubld,50000000000urun,100provisionpass,100sendpacketpass"


def test_a_client_gets_what_its_chain_charges_fees_in(of_today: World) -> None:
    of_today.make_chain()
    of_today.make_client()
    told = of_today.script("provision.py", "--helper", "agd", "--stable", "uist")
    assert "agoric1client is funded and provisioned" in told
    sent = next(call for call in of_today.calls() if call[1:4] == ["tx", "bank", "send"])
    coins = sent[6].split(",")
    assert coins == ["40075000000ubld", "40000000000uist", "3344000000ibc/toyatom"]
    assert "--from=provision" in sent


def test_no_query_names_a_chain(of_today: World) -> None:
    of_today.make_chain()
    of_today.make_client()
    of_today.script("provision.py", "--helper", "agd", "--stable", "uist")
    again = of_today.script("provision.py", "--helper", "agd", "--stable", "uist")
    assert "agoric1client is provisioned already" in again
    of_today.script(
        *("ask_client.py", "--helper", "agd", "--chain-id", "net-1"),
        *("--rpc", "one:26657", "--answer", str(of_today.project / "answer")),
    )
    answer = json.loads((of_today.project / "answer").read_text())
    assert answer == {"address": "agoric1client", "known": True, "reason": None}
    queries = [call for call in of_today.calls() if call[1] == "query"]
    assert len(queries) > 5
    assert not [call for call in queries if any("chain-id" in word for word in call)]
