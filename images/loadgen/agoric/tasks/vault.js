// Vault: the client borrows RUN or IST on collateral, pays it back and closes the vault.
import { E } from '@agoric/eventual-send';
import { STABLE, TREASURY } from '../agents/economy.js';
import { ATOM, FACTORY } from '../agents/lenders.js';
import { findOrMakeAgent } from '../lib/agent.js';
import { check as checkExchange } from './amm.js';

/** Services of solo and chain without which the task cannot run. */
export const needs = ['agoricNames', 'bank', 'scratch', 'spawner', 'zoe'];

/** Throws why the chain has no lender that this task knows. */
export const check = async (home, names) => {
  if (names.has('instance', TREASURY)) {
    // It lends on the token of which the exchange has a pool.
    await checkExchange(home, names);
    return;
  }
  const [factory, collateral] = await Promise.all([
    names.find('instance', FACTORY),
    names.find('brand', ...ATOM),
    names.find('brand', ...STABLE),
  ]);
  await E(E(home.zoe).getPublicFacet(factory)).getCollateralManager(collateral);
};

/**
 * @param {any} context see driver.js
 * @returns {Promise<() => Promise<any>>} runs one cycle
 */
export const prepare = async context => {
  const { agoricNames, bank, zoe } = context.home;
  const agent = await findOrMakeAgent(context, 'vault', async () =>
    harden({ agoricNames, bank, zoe }),
  );
  return () => E(agent).cycle();
};
