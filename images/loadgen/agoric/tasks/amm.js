// Exchange: the client trades RUN for BLD and back.
import { E } from '@agoric/eventual-send';
import { EXCHANGES, STABLE, TREASURY, findStaking } from '../agents/economy.js';
import { findOrMakeAgent } from '../lib/agent.js';

/** Services of solo and chain without which the task cannot run. */
export const needs = ['agoricNames', 'bank', 'scratch', 'spawner', 'zoe'];

/** Throws why the chain has no exchange that this task knows. */
export const check = async ({ zoe }, names) => {
  const [instance] = await Promise.all([
    names.find('instance', ...EXCHANGES),
    names.find('brand', ...STABLE),
  ]);
  // Beside a treasury it always has a pool of BLD: that saves two round trips.
  if (!names.has('instance', TREASURY)) {
    await findStaking(E(zoe).getPublicFacet(instance));
  }
};

/**
 * @param {any} context see driver.js
 * @returns {Promise<() => Promise<any>>} runs one cycle
 */
export const prepare = async context => {
  const { agoricNames, bank, zoe } = context.home;
  const agent = await findOrMakeAgent(context, 'amm', async () =>
    harden({ agoricNames, bank, zoe }),
  );
  return () => E(agent).cycle();
};
