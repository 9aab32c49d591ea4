// The lender's agent: opens a vault, borrows, pays back and closes it.
import { E } from '@agoric/eventual-send';
import { Far } from '@agoric/marshal';
import { exchangeOffer, share } from './economy.js';
import { findLender } from './lenders.js';

const PER_CYCLE = 1n;

export default async function startAgent(services) {
  const { zoe } = services;
  const lender = await findLender(services);
  const { minted, debtPurse, collateralPurse, collateralBrand } = lender;
  const nothing = harden({ brand: collateralBrand, value: 0n });

  const cycle = async () => {
    const collateral = await share(collateralPurse, PER_CYCLE);
    const loan = await lender.loanOn(collateral);
    const opened = await exchangeOffer(zoe, lender.makeInvitation(), {
      give: { keyword: 'Collateral', purse: collateralPurse, amount: collateral },
      want: { keyword: minted, purse: debtPurse, amount: loan },
    });
    if (opened.gained.value !== loan.value) {
      throw Error(`borrowed ${opened.gained.value}, not ${loan.value}`);
    }

    const { vault } = opened.result;
    const debt = await lender.debtOf(vault);
    const closed = await exchangeOffer(zoe, E(vault).makeCloseInvitation(), {
      give: { keyword: minted, purse: debtPurse, amount: debt },
      want: { keyword: 'Collateral', purse: collateralPurse, amount: nothing },
    });
    if (closed.gained.value !== collateral.value) {
      throw Error(`got back ${closed.gained.value} of ${collateral.value} collateral`);
    }
    return harden({
      collateral: `${collateral.value}`,
      borrowed: `${loan.value}`,
      repaid: `${debt.value - closed.returned.value}`,
    });
  };

  return Far('loadgen vault agent', { cycle });
}
