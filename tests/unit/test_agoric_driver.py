"""Which tasks the Agoric driver offers, by the chain's own names, and how its vaults lend.

The modules are run by Node with stand-ins for the SDK's packages. Without a Node they are left to
the runs of the real SDK.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loadgenctl import resources

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node")

EVENTUAL_SEND = """
export const E = target => new Proxy({}, {
  get: (_, method) => async (...args) => (await target)[method](...args),
});
E.get = target => new Proxy({}, { get: async (_, name) => (await target)[name] });
"""
PRELUDE = """
globalThis.harden = value => value;
const { findOffers } = await import('./lib/offers.js');
const amm = await import('./tasks/amm.js');
const faucet = await import('./tasks/faucet.js');
const vault = await import('./tasks/vault.js');
const { default: startVaults } = await import('./agents/vault.js');
const tasks = { faucet, amm, vault };
let asked = 0;
const hub = entries => ({
  entries: async () => entries,
  lookup: async name => {
    const found = entries.find(([key]) => key === name);
    if (!found) throw Error(`not found: ${name}`);
    return found[1];
  },
});
const names = hubs => ({
  lookup: async (kind, ...path) => {
    asked += 1;
    const found = hub(hubs[kind]);
    return path.length ? found.lookup(...path) : found;
  },
});
const scratchPad = () => {
  const kept = new Map();
  return { get: async key => kept.get(key), set: async (key, value) => kept.set(key, value) };
};
const brand = name => ({ getAllegedName: async () => name });
const zoe = { getPublicFacet: async instance => instance };
const home = (hubs, more) => ({
  agoricNames: names(hubs), bank: {}, scratch: scratchPad(), spawner: {}, zoe, ...more,
});
const pools = (...brands) => ({ getAllPoolBrands: async () => brands });
const collaterals = (...brands) => ({
  getCollateralManager: async wanted => {
    if (!brands.includes(wanted)) throw Error('Not a supported collateral type');
    return {};
  },
});
const tell = answer => console.log(JSON.stringify(answer));
"""


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """The driver's folder with stand-ins for the SDK's packages."""
    folder = tmp_path / "driver"
    shutil.copytree(resources.images("loadgen", "agoric"), folder)
    packages = {"eventual-send": EVENTUAL_SEND, "marshal": "export const Far = (_, o) => o;"}
    (folder / "package.json").write_text('{"type": "module"}')
    for name, code in packages.items():
        package = folder / "node_modules" / "@agoric" / name
        package.mkdir(parents=True)
        (package / "package.json").write_text('{"type": "module", "main": "index.js"}')
        (package / "index.js").write_text(code)
    return folder


def told(driver: Path, script: str) -> Any:
    """What a script tells."""
    assert NODE is not None
    (driver / "test.mjs").write_text(PRELUDE + script)
    done = subprocess.run(
        [NODE, "test.mjs"], cwd=driver, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_chain_of_2021_has_all_tasks_and_is_asked_for_its_names_only(driver: Path) -> None:
    hubs = "{ instance: [['autoswap', {}], ['Treasury', {}]], brand: [['RUN', {}]] }"
    answer = told(driver, f"const h = home({hubs}); tell([await findOffers(tasks, h), asked]);")
    assert answer == [{"offered": ["faucet", "amm", "vault"], "unavailable": {}}, 2]


def test_a_chain_without_exchange_and_lender_offers_the_faucet_and_says_why(driver: Path) -> None:
    hubs = "{ instance: [['psm', {}]], brand: [['IST', {}], ['BLD', {}]] }"
    answer = told(driver, f"tell(await findOffers(tasks, home({hubs})));")
    assert answer["offered"] == ["faucet"]
    assert answer["unavailable"] == {
        "amm": "the chain has no instance autoswap or amm",
        "vault": "the chain has no instance VaultFactory",
    }


def test_the_vault_factory_is_offered_once_it_takes_the_collateral(driver: Path) -> None:
    script = """
      const atom = brand('ATOM');
      const hubs = factory => ({
        instance: [['VaultFactory', factory]], brand: [['IST', brand('IST')], ['ATOM', atom]],
      });
      const before = await findOffers(tasks, home(hubs(collaterals())));
      const after = await findOffers(tasks, home(hubs(collaterals(atom))));
      tell([before, after.offered]);
    """
    before, after = told(driver, script)
    assert before["unavailable"]["vault"] == "Not a supported collateral type"
    assert after == ["faucet", "vault"]


def test_an_exchange_without_a_pool_of_the_staking_token_is_refused(driver: Path) -> None:
    script = """
      const hubs = exchange => ({ instance: [['amm', exchange]], brand: [['IST', brand('IST')]] });
      const without = await findOffers(tasks, home(hubs(pools(brand('ATOM')))));
      const withIt = await findOffers(tasks, home(hubs(pools(brand('ATOM'), brand('BLD')))));
      tell([without.unavailable.amm, withIt.offered]);
    """
    assert told(driver, script) == [
        "the exchange has no pool of BLD, only of ATOM",
        ["faucet", "amm"],
    ]


def test_what_was_found_before_is_not_asked_again(driver: Path) -> None:
    script = """
      const h = home({
        instance: [['autoswap', {}], ['Treasury', {}]], brand: [['RUN', {}]],
      });
      await findOffers(tasks, h);
      asked = 0;
      const again = await findOffers(tasks, h);
      tell([again.offered, asked]);
    """
    assert told(driver, script) == [["faucet", "amm", "vault"], 0]


def test_a_client_without_a_service_refuses_what_needs_it(driver: Path) -> None:
    script = """
      const h = home({ instance: [], brand: [] }, { bank: undefined, scratch: undefined });
      tell(await findOffers(tasks, h));
    """
    assert told(driver, script) == {
        "offered": [],
        "unavailable": {
            "faucet": "the client has no scratch",
            "amm": "the client has no bank, scratch",
            "vault": "the client has no bank, scratch",
        },
    }


ZOE = """
  // A vault factory that charges a fee and gives back what is too much.
  const ist = brand('IST'), atom = brand('ATOM'), held = new Map([[ist, 50n], [atom, 100000n]]);
  const purse = token => ({
    getCurrentAmount: async () => ({ brand: token, value: held.get(token) }),
    withdraw: async ({ value }) => { held.set(token, held.get(token) - value); return value; },
    deposit: async value => { held.set(token, held.get(token) + value); return { value }; },
  });
  let debt = 0n, locked = 0n;
  const seat = (result, payouts) => ({
    getOfferResult: async () => result, getPayout: async name => payouts[name],
  });
  const vaultOf = {
    getCurrentDebt: async () => ({ brand: ist, value: debt }),
    makeCloseInvitation: async () => ({ give, payment }) =>
      seat('closed', { Minted: payment.Minted - debt, Collateral: locked }),
  };
  const manager = {
    makeVaultInvitation: async () => ({ give, want }) => {
      locked = give.Collateral.value;
      debt = want.Minted.value + want.Minted.value / 200n;
      return seat({ vault: vaultOf }, { Minted: want.Minted.value, Collateral: 0n });
    },
  };
  const factory = { getCollateralManager: async () => manager };
  const services = {
    agoricNames: names({
      instance: [['VaultFactory', factory]], brand: [['IST', ist], ['ATOM', atom]],
    }),
    bank: { getPurse: async token => purse(token) },
    zoe: {
      ...zoe,
      offer: async (invitation, proposal, payments) => {
        const names = Object.keys(payments);
        const values = await Promise.all(Object.values(payments));
        const payment = Object.fromEntries(names.map((name, i) => [name, values[i]]));
        return (await invitation)({ ...proposal, payment });
      },
    },
  };
"""


def test_a_vault_of_the_factory_is_opened_borrowed_on_repaid_and_closed(driver: Path) -> None:
    script = """
      const agent = await startVaults(services);
      const cycle = await agent.cycle();
      tell([cycle, `${held.get(ist)}`, `${held.get(atom)}`]);
    """
    assert told(driver, ZOE + script) == [
        {"collateral": "1000", "borrowed": "1000", "repaid": "1005"},
        "45",
        "100000",
    ]


@pytest.mark.parametrize(
    "script",
    sorted(
        str(path.relative_to(resources.images("loadgen", "agoric")))
        for path in resources.images("loadgen", "agoric").rglob("*.js")
    ),
)
def test_every_script_of_the_load_can_be_read(driver: Path, script: str) -> None:
    assert NODE is not None
    subprocess.run([NODE, "--check", script], cwd=driver, timeout=60, check=True)
