// Vault: the client borrows RUN on BLD, pays it back and closes the vault.
import { E } from '@agoric/eventual-send';
import { findOrMakeAgent } from '../lib/agent.js';

/** Services of solo and chain without which the task cannot run. */
export const needs = ['agoricNames', 'bank', 'scratch', 'spawner', 'zoe'];

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
