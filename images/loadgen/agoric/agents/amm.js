// The exchange's agent: trades a little of each token for the other.
import { E } from '@agoric/eventual-send';
import { Far } from '@agoric/marshal';
import { exchangeOffer, findEconomy, share } from './economy.js';

const AT_FIRST = 33n;
const PER_CYCLE = 1n;

export default async function startAgent(services) {
  const { zoe } = services;
  const { exchange, run, bld, runPurse, bldPurse } = await findEconomy(services);

  const sell = async (percent, from, to, wanted) => {
    const amount = await share(from, percent);
    const { gained } = await exchangeOffer(zoe, E(exchange).makeSwapInInvitation(), {
      give: { keyword: 'In', purse: from, amount },
      want: { keyword: 'Out', purse: to, amount: harden({ brand: wanted, value: 0n }) },
    });
    if (gained.value <= 0n) {
      throw Error(`the exchange gave nothing for ${amount.value}`);
    }
    return { sold: amount.value, bought: gained.value };
  };

  await sell(AT_FIRST, runPurse, bldPurse, bld);

  const cycle = async () => {
    const out = await sell(PER_CYCLE, runPurse, bldPurse, bld);
    const back = await sell(PER_CYCLE, bldPurse, runPurse, run);
    return harden({
      runSold: `${out.sold}`,
      bldBought: `${out.bought}`,
      bldSold: `${back.sold}`,
      runBought: `${back.bought}`,
    });
  };

  return Far('loadgen amm agent', { cycle });
}
