// Faucet: a contract on the chain hands tokens to the client.
import { E } from '@agoric/eventual-send';
import { findOrMakeAgent } from '../lib/agent.js';

/** Services of solo and chain without which the task cannot run. */
export const needs = ['scratch', 'spawner', 'zoe'];

/**
 * @param {any} context see driver.js
 * @returns {Promise<() => Promise<any>>} runs one cycle
 */
export const prepare = async context => {
  const { home, bundle } = context;
  const agent = await findOrMakeAgent(context, 'faucet', async () => {
    const contract = await bundle('contracts/faucet.js');
    const installation = await E(home.zoe).install(contract);
    return harden({ zoe: home.zoe, installation });
  });
  return () => E(agent).cycle();
};
