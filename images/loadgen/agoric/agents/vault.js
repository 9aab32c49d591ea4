// The treasury's agent: opens a vault, borrows, pays back and closes it.
import { E } from '@agoric/eventual-send';
import { Far } from '@agoric/marshal';
import { exchangeOffer, findEconomy, share } from './economy.js';

const PER_CYCLE = 1n;

export default async function startAgent(services) {
  const { agoricNames, zoe } = services;
  const { bld, runPurse, bldPurse } = await findEconomy(services);
  const treasury = await E(zoe).getPublicFacet(
    await E(agoricNames).lookup('instance', 'Treasury'),
  );

  /** Half of what the collateral is worth, in RUN. */
  const halfOfValue = async collateral => {
    const kinds = await E(treasury).getCollaterals();
    const kind = kinds.find(({ brand }) => brand === bld);
    if (!kind) {
      throw Error('the treasury does not take BLD as collateral');
    }
    const { numerator, denominator } = kind.marketPrice;
    const value = (collateral.value * numerator.value) / denominator.value / 2n;
    return harden({ brand: numerator.brand, value });
  };

  const cycle = async () => {
    const collateral = await share(bldPurse, PER_CYCLE);
    const loan = await halfOfValue(collateral);
    const opened = await exchangeOffer(zoe, E(treasury).makeLoanInvitation(), {
      give: { keyword: 'Collateral', purse: bldPurse, amount: collateral },
      want: { keyword: 'RUN', purse: runPurse, amount: loan },
    });
    if (opened.gained.value !== loan.value) {
      throw Error(`borrowed ${opened.gained.value}, not ${loan.value}`);
    }

    const { vault } = opened.result;
    const debt = await E(vault).getDebtAmount();
    const nothing = harden({ brand: bld, value: 0n });
    const closed = await exchangeOffer(zoe, E(vault).makeCloseInvitation(), {
      give: { keyword: 'RUN', purse: runPurse, amount: debt },
      want: { keyword: 'Collateral', purse: bldPurse, amount: nothing },
    });
    if (closed.gained.value !== collateral.value) {
      throw Error(`got back ${closed.gained.value} of ${collateral.value} collateral`);
    }
    return harden({
      collateral: `${collateral.value}`,
      borrowed: `${loan.value}`,
      repaid: `${debt.value}`,
    });
  };

  return Far('loadgen vault agent', { cycle });
}
