// Zoe of the second half of 2021 charges its users. The client keeps a purse for that on
// the chain, which is empty at first; here it is filled from the client's RUN.
import { E } from '@agoric/eventual-send';
import { share } from '../agents/economy.js';

/** Services without which no fee purse can be filled. */
export const needs = ['agoricNames', 'bank', 'faucet'];

/** How much of the RUN is put aside for fees at a time, and below what it is done again. */
const PERCENT = 20n;
const LEAST_PERCENT = 5n;

/**
 * Find the client's fee purse and give what fills it up when it runs low.
 *
 * @param {any} context see driver.js
 * @returns {Promise<() => Promise<void>>} does nothing where the SDK has no such purse
 */
export const makeFeeKeeper = async ({ home, say }) => {
  const { agoricNames, bank, faucet } = home;
  let feePurse;
  try {
    feePurse = await E(faucet).getFeePurse();
  } catch (error) {
    // A true failure shows at the first offer, which then cannot pay.
    say(`no fee purse to fill: ${error && error.message}`);
    return async () => {};
  }
  const run = await E(agoricNames).lookup('brand', 'RUN');
  const runPurse = await E(bank).getPurse(run);

  return async () => {
    const [kept, held] = await Promise.all([
      E(feePurse).getCurrentAmount(),
      E(runPurse).getCurrentAmount(),
    ]);
    if (kept.value * 100n >= held.value * LEAST_PERCENT) {
      return;
    }
    const amount = await share(runPurse, PERCENT);
    await E(feePurse).deposit(await E(runPurse).withdraw(amount));
    say(`put ${amount.value} aside for fees, there were ${kept.value}`);
  };
};
