// What the agents that trade have in common: the chain's tokens and offers to its contracts.
import { E } from '@agoric/eventual-send';

/** The exchange was a part of the treasury, called autoswap, until November 2021. */
const EXCHANGES = ['autoswap', 'amm'];

const findExchange = async agoricNames => {
  const [name, ...others] = EXCHANGES;
  const lookup = other => E(agoricNames).lookup('instance', other);
  return others.reduce(
    (found, other) => found.catch(() => lookup(other)),
    lookup(name),
  );
};

/**
 * Find the exchange, both tokens and the client's purses of them.
 *
 * The chain names only its central token; the staking token is known by the
 * exchange, which holds a pool of it.
 */
export const findEconomy = async ({ agoricNames, bank, zoe }) => {
  const exchange = await E(zoe).getPublicFacet(await findExchange(agoricNames));
  const [run, brands] = await Promise.all([
    E(agoricNames).lookup('brand', 'RUN'),
    E(exchange).getAllPoolBrands(),
  ]);
  const names = await Promise.all(brands.map(brand => E(brand).getAllegedName()));
  const bld = brands[names.indexOf('BLD')];
  if (!bld) {
    throw Error(`the exchange has no pool of BLD, only of ${names.join(', ')}`);
  }
  const [runPurse, bldPurse] = await Promise.all([
    E(bank).getPurse(run),
    E(bank).getPurse(bld),
  ]);
  return harden({ exchange, run, bld, runPurse, bldPurse });
};

/**
 * A share of what a purse holds; throws when that is nothing.
 *
 * After a restart of the chain, SDKs of 2021 let a bank purse tell its last balance for some
 * time. So this only sizes a trade; what truly moved is told by the deposits.
 */
export const share = async (purse, percent) => {
  const { brand, value } = await E(purse).getCurrentAmount();
  const part = (value * percent) / 100n;
  if (part <= 0n) {
    throw Error(`the purse holds ${value}: too little to use ${percent} % of it`);
  }
  return harden({ brand, value: part });
};

/**
 * Make an offer that gives from one purse and wants for another, wait for its
 * result, and put away both payouts.
 *
 * Everything up to the payouts is sent in one turn: one round trip to the
 * chain, and a second one for the deposits.
 *
 * @returns {Promise<{ result: any, gained: any, returned: any }>} amounts that
 *   went into the purses: of what was wanted, and of what was given and came back
 */
export const exchangeOffer = async (zoe, invitation, { give, want }) => {
  const seat = E(zoe).offer(
    invitation,
    harden({
      give: { [give.keyword]: give.amount },
      want: { [want.keyword]: want.amount },
    }),
    harden({ [give.keyword]: E(give.purse).withdraw(give.amount) }),
  );
  const result = E(seat).getOfferResult();
  // It is awaited last: the payouts come also when the offer fails, and what was given is
  // put back then.
  result.catch(() => {});
  const [wanted, left] = await Promise.all([
    E(seat).getPayout(want.keyword),
    E(seat).getPayout(give.keyword),
  ]);
  const [gained, returned] = await Promise.all([
    E(want.purse).deposit(wanted),
    E(give.purse).deposit(left),
  ]);
  return { result: await result, gained, returned };
};
