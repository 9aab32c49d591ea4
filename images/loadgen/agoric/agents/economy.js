// What the agents that trade have in common: the chain's tokens and offers to its contracts.
import { E } from '@agoric/eventual-send';

/** The exchange was a part of the treasury, called autoswap, until November 2021. */
export const EXCHANGES = ['autoswap', 'amm'];

/** It lent on collateral until December 2021. */
export const TREASURY = 'Treasury';

/** The chain's stable token, by its names since 2021. */
export const STABLE = ['RUN', 'IST'];

/** The token that stakes, as the exchange calls it. */
const STAKING = 'BLD';

/** What the chain knows by the first of some names that it has. */
export const lookupFirst = (agoricNames, kind, [name, ...others]) =>
  others.reduce(
    (found, other) => found.catch(() => E(agoricNames).lookup(kind, other)),
    E(agoricNames).lookup(kind, name),
  );

/** The brand of the staking token, of which the exchange holds a pool. */
export const findStaking = async exchange => {
  const brands = await E(exchange).getAllPoolBrands();
  const names = await Promise.all(brands.map(brand => E(brand).getAllegedName()));
  const bld = brands[names.indexOf(STAKING)];
  if (!bld) {
    throw Error(`the exchange has no pool of ${STAKING}, only of ${names.join(', ')}`);
  }
  return bld;
};

/**
 * Find the exchange, both tokens and the client's purses of them.
 *
 * The chain names only its central token; the staking token is known by the
 * exchange, which holds a pool of it.
 */
export const findEconomy = async ({ agoricNames, bank, zoe }) => {
  const instance = await lookupFirst(agoricNames, 'instance', EXCHANGES);
  const exchange = await E(zoe).getPublicFacet(instance);
  const [run, bld] = await Promise.all([
    lookupFirst(agoricNames, 'brand', STABLE),
    findStaking(exchange),
  ]);
  const [runPurse, bldPurse] = await Promise.all([
    E(bank).getPurse(run),
    E(bank).getPurse(bld),
  ]);
  return harden({ exchange, run, bld, runPurse, bldPurse });
};

/**
 * A share of what a purse holds; throws when that is nothing.
 *
 * After a restart of the chain, a bank purse of SDKs of 2021 reports its last balance for some
 * time. So this only sizes a trade; the deposits show what really moved.
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
