// The contract that smart wallets are loaded with: a faucet, a pool to swap in, and vaults, over two
// tokens of its own. It needs nothing else of the chain, so it runs wherever wallets hold tokens of
// any contract.
import { Far } from '@endo/far';

/** What the pool holds of each token at first: so much that a swap hardly moves the price. */
const RESERVE = 1000000000000n;

/** A vault's debt, in percent of its collateral, at most. */
const MAX_DEBT = 66n;

const check = (holds, reason) => {
  if (!holds) {
    throw Error(reason);
  }
};

const start = async zcf => {
  const names = ['LoadA', 'LoadB'];
  const made = await Promise.all(names.map(name => zcf.makeZCFMint(name)));
  const mints = { LoadA: made[0], LoadB: made[1] };
  const brands = {};
  for (const name of names) {
    brands[name] = mints[name].getIssuerRecord().brand;
  }
  const amount = (name, value) => harden({ brand: brands[name], value });

  // Faucet: mints what the offer wants.

  const mint = seat => {
    const { Token: wanted } = seat.getProposal().want;
    check(wanted.brand === brands.LoadA, 'the faucet has LoadA only');
    mints.LoadA.mintGains(harden({ Token: wanted }), seat);
    seat.exit();
    return 'minted';
  };

  // Pool: the product of both reserves is kept, and rounding is in favour of the pool.

  const pool = zcf.makeEmptySeatKit().zcfSeat;
  for (const name of names) {
    mints[name].mintGains(harden({ [name]: amount(name, RESERVE) }), pool);
  }

  const swap = (seat, price) => {
    const { give, want } = seat.getProposal();
    const from = give.In.brand === brands.LoadA ? 'LoadA' : 'LoadB';
    const to = from === 'LoadA' ? 'LoadB' : 'LoadA';
    const held = pool.getCurrentAllocation();
    const reserves = { in: held[from].value, out: held[to].value };
    const { paid, bought } = price(reserves, give.In.value, want.Out.value);
    zcf.atomicRearrange(
      harden([
        [seat, pool, { In: amount(from, paid) }, { [from]: amount(from, paid) }],
        [pool, seat, { [to]: amount(to, bought) }, { Out: amount(to, bought) }],
      ]),
    );
    seat.exit();
    // With the reserves before, the wallet's owner can tell what it had to cost.
    return `${reserves.in} ${reserves.out}`;
  };

  const swapIn = seat =>
    swap(seat, (reserves, given) => ({
      paid: given,
      bought: (reserves.out * given) / (reserves.in + given),
    }));

  const swapOut = seat =>
    swap(seat, (reserves, _given, wanted) => ({
      paid: (reserves.in * wanted) / (reserves.out - wanted) + 1n,
      bought: wanted,
    }));

  // Vaults: collateral in LoadA, debt in LoadB.

  const openVault = seat => {
    const { give, want } = seat.getProposal();
    const limit = (give.Collateral.value * MAX_DEBT) / 100n;
    check(give.Collateral.brand === brands.LoadA, 'the collateral is LoadA');
    let debt = 0n;
    const checkDebt = more => check(debt + more <= limit, 'the collateral is not enough');

    checkDebt(want.Minted.value);
    const vault = mints.LoadB.mintGains(harden({ Minted: want.Minted }));
    zcf.atomicRearrange(
      harden([
        [seat, vault, { Collateral: give.Collateral }],
        [vault, seat, { Minted: want.Minted }],
      ]),
    );
    debt = want.Minted.value;
    seat.exit();

    const borrow = borrower => {
      const { Minted: wanted } = borrower.getProposal().want;
      checkDebt(wanted.value);
      mints.LoadB.mintGains(harden({ Minted: wanted }), borrower);
      debt += wanted.value;
      borrower.exit();
      return `debt ${debt}`;
    };
    const repay = payer => {
      const { Minted: given } = payer.getProposal().give;
      check(given.value <= debt, 'more than the debt');
      mints.LoadB.burnLosses(harden({ Minted: given }), payer);
      debt -= given.value;
      payer.exit();
      return `debt ${debt}`;
    };
    return harden({
      invitationMakers: Far('loadgenctl vault', {
        Borrow: () => zcf.makeInvitation(borrow, 'borrow'),
        Repay: () => zcf.makeInvitation(repay, 'repay'),
      }),
    });
  };

  const publicFacet = Far('loadgenctl', {
    makeFaucetInvitation: () => zcf.makeInvitation(mint, 'faucet'),
    makeSwapInInvitation: () => zcf.makeInvitation(swapIn, 'swap in'),
    makeSwapOutInvitation: () => zcf.makeInvitation(swapOut, 'swap out'),
    makeVaultInvitation: () => zcf.makeInvitation(openVault, 'vault'),
  });
  return harden({ publicFacet });
};

harden(start);
export { start };
