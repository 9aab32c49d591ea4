// Which tasks a chain and its client can run, found out before they are offered.
import { E } from '@agoric/eventual-send';
import { readNames } from './names.js';

/** In the solo's scratch pad: the tasks that were found possible, which they stay. */
const FOUND = 'loadgenctl.offers';

const describe = error => `${(error && error.message) || error}`.slice(0, 500);

/**
 * @param {Record<string, any>} tasks name → module, with `needs` and perhaps
 *   `check`, which throws why a chain cannot run the task
 * @param {any} home services by name; what the client does not have is undefined
 * @returns {Promise<{ offered: string[], unavailable: Record<string, string> }>}
 */
export const findOffers = async (tasks, home) => {
  const found = (home.scratch && (await E(home.scratch).get(FOUND))) || [];
  let asked;
  const names = () => {
    asked = asked || readNames(home.agoricNames);
    return asked;
  };
  const why = async (name, { needs, check }) => {
    const missing = needs.filter(service => !home[service]);
    if (missing.length > 0) {
      return `the client has no ${missing.join(', ')}`;
    }
    if (!check || found.includes(name)) {
      return undefined;
    }
    try {
      await check(home, await names());
    } catch (error) {
      return describe(error);
    }
    return undefined;
  };
  const entries = Object.entries(tasks);
  const reasons = await Promise.all(entries.map(([name, task]) => why(name, task)));
  const offered = [];
  const unavailable = {};
  entries.forEach(([name], i) => {
    if (reasons[i] === undefined) {
      offered.push(name);
    } else {
      unavailable[name] = reasons[i];
    }
  });
  if (home.scratch && offered.some(name => !found.includes(name))) {
    await E(home.scratch).set(FOUND, harden([...offered]));
  }
  return { offered, unavailable };
};
