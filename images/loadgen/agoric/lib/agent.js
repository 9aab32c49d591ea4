// How a task gets its agent: the object in the solo that runs its cycles.
import { E } from '@agoric/eventual-send';

/**
 * Find a task's agent in the solo's scratch pad, or make it and put it there.
 * The scratch pad outlives restarts of the client, of the chain and of this
 * script, so a task is set up once in the life of a chain.
 *
 * @param {any} context see driver.js
 * @param {string} name the task's name
 * @param {() => Promise<any>} makeParameters what the agent is started with
 * @returns {Promise<any>} the agent
 */
export const findOrMakeAgent = async (context, name, makeParameters) => {
  const { home, bundle, say } = context;
  const key = `loadgenctl.${name}.agent`;
  const known = await E(home.scratch).get(key);
  if (known) {
    say(`${name}: found the agent of an earlier start`);
    return known;
  }
  say(`${name}: making an agent`);
  const [parameters, code] = await Promise.all([
    makeParameters(),
    bundle(`agents/${name}.js`),
  ]);
  const agent = await E(E(home.spawner).install(code)).spawn(parameters);
  // Only a complete agent is remembered: a set-up that was cut short is done again.
  await E(home.scratch).set(key, agent);
  return agent;
};
