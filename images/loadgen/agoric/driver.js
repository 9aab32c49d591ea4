/* global process */
// The driver of the load service for the Agoric SDK: a script for `agoric deploy`.
//
// The service (LOADGEN_SOCKET) decides when a cycle of which task starts; this script runs it
// against the solo that it is deployed to. One line is one JSON object:
//   driver → hello | prepared | result        service → prepare | run | stop
import { E } from '@agoric/eventual-send';

import * as fees from './lib/fees.js';
import { connectLines } from './lib/lines.js';
import { findOffers } from './lib/offers.js';
import * as amm from './tasks/amm.js';
import * as faucet from './tasks/faucet.js';
import * as vault from './tasks/vault.js';

const PROTOCOL = 1;

/** Task name → what it needs, and what prepares it and gives what runs one cycle. */
const TASKS = { faucet, amm, vault };

/** Cycles after which the fee purse is looked at again. */
const FEES_EVERY = 100;

const describe = error => `${(error && error.message) || error}`.slice(0, 2000);

const say = (...words) => console.log('driver:', ...words);

/**
 * Serve the load service until it says stop.
 *
 * @param {any} context given to the tasks: home (services), bundle, say; payFees is for here
 * @param {{ offered: string[], unavailable: Record<string, string> }} offers the tasks
 *   that can run here, and why the others cannot
 * @param {string} socketPath
 * @returns {Promise<void>} rejected when the service goes away
 */
const serve = async (context, { offered, unavailable }, socketPath) => {
  /** @type {Map<string, Promise<() => Promise<any>>>} */
  const prepared = new Map();
  let connection;
  let started = 0;
  let stop;
  const stopped = new Promise(resolve => {
    stop = resolve;
  });

  const prepare = task => {
    if (!offered.includes(task)) {
      return Promise.reject(Error(`no such task: ${task}`));
    }
    if (!prepared.has(task)) {
      const attempt = TASKS[task].prepare(context);
      prepared.set(task, attempt);
      // A failed preparation may be tried again.
      attempt.catch(() => prepared.delete(task));
    }
    return prepared.get(task);
  };

  const answer = async (type, id, work) => {
    try {
      const detail = await work();
      connection.send({ type, id, success: true, ...(detail ? { detail } : {}) });
    } catch (error) {
      console.error(`driver: ${type} ${id} failed:`, error);
      connection.send({ type, id, success: false, error: describe(error) });
    }
  };

  const handlers = {
    prepare: ({ id, task }) =>
      answer('prepared', id, async () => {
        await prepare(task);
      }),
    run: ({ id, task }) => {
      started += 1;
      if (started % FEES_EVERY === 0) {
        context.payFees().catch(error => console.error('driver: fees:', error));
      }
      return answer('result', id, async () => {
        const cycle = await prepare(task);
        return cycle();
      });
    },
    stop: () => stop(),
  };

  connection = await connectLines(socketPath, message => {
    const handler = handlers[message.type];
    if (handler) {
      handler(message);
    }
  });
  connection.send({
    type: 'hello',
    protocol: PROTOCOL,
    driver: 'agoric',
    simulated: false,
    tasks: offered,
    unavailable,
  });
  say('said hello');
  await Promise.race([
    stopped,
    connection.ended.then(() => {
      throw Error('the load service went away');
    }),
  ]);
};

export default async function deployLoad(homeP, { bundleSource, pathResolve }) {
  const socketPath = process.env.LOADGEN_SOCKET;
  if (!socketPath) {
    throw Error('LOADGEN_SOCKET is not set: this script is started by the load service');
  }
  // The era says whether this SDK may charge fees; asking one that does not takes a round trip.
  const charged = process.env.LOADGEN_FEES === 'yes';
  const wanted = [...Object.values(TASKS), ...(charged ? [fees] : [])];
  const names = [...new Set(wanted.flatMap(({ needs }) => needs))];
  const services = await Promise.all(names.map(name => E.get(homeP)[name]));
  const home = Object.fromEntries(names.map((name, i) => [name, services[i]]));

  // SDKs differ in what they have: a task is only promised where it can run.
  const { offered, unavailable } = await findOffers(TASKS, home);
  for (const [task, reason] of Object.entries(unavailable)) {
    say(`${task} cannot run: ${reason}`);
  }
  const bundle = file => bundleSource(pathResolve(file));
  const payFees = charged ? await fees.makeFeeKeeper({ home, say }) : async () => {};
  await payFees();
  await serve({ home, bundle, say, payFees }, { offered, unavailable }, socketPath);
  say('stopped');
}
