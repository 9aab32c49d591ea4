// What the chain's own names (agoricNames) tell of its contracts and tokens.
import { E } from '@agoric/eventual-send';

/** Milliseconds that a name which is there may take to get its value: some are only reserved. */
const PATIENCE = 30000;

/** What a promise is fulfilled with, or undefined after so many milliseconds. */
const within = (promise, ms) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    Promise.resolve(promise)
      .then(resolve, reject)
      .then(() => clearTimeout(timer));
  });

/**
 * Ask for all names of contracts and tokens at once: one round trip.
 *
 * A name that is only reserved has a promise, which may never be kept: a lookup of it would not
 * end.
 *
 * @param {any} agoricNames
 * @returns {Promise<{ has: (kind: string, name: string) => boolean,
 *   find: (kind: string, ...names: string[]) => Promise<any> }>} `find` gives the value of the
 *   first of the names that the chain has; it throws saying which it has not
 */
export const readNames = async agoricNames => {
  const kinds = ['instance', 'brand'];
  const asked = kinds.map(kind => E(E(agoricNames).lookup(kind)).entries());
  const found = await Promise.all(asked);
  const known = Object.fromEntries(kinds.map((kind, i) => [kind, new Map(found[i])]));

  const has = (kind, name) => known[kind].has(name);
  const find = async (kind, ...names) => {
    const name = names.find(candidate => has(kind, candidate));
    const value = name === undefined ? undefined : await within(known[kind].get(name), PATIENCE);
    if (value === undefined) {
      throw Error(`the chain has no ${kind} ${names.join(' or ')}`);
    }
    return value;
  };
  return { has, find };
};
