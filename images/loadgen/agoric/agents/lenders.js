// Who lends on collateral: the treasury of 2021, the vault factory from 2022 to June 2026.
import { E } from '@agoric/eventual-send';
import { STABLE, TREASURY, findEconomy, lookupFirst } from './economy.js';

export const FACTORY = 'VaultFactory';

/** The collateral that the SDK's demonstrations let the vault factory take, by its names. */
export const ATOM = ['ATOM', 'IbcATOM'];

/**
 * @typedef {object} Lender
 * @property {string} minted the keyword of what is borrowed
 * @property {any} debtPurse
 * @property {any} collateralPurse
 * @property {any} collateralBrand
 * @property {() => Promise<any>} makeInvitation to open a vault
 * @property {(collateral: any) => Promise<any>} loanOn the amount to borrow on a collateral
 * @property {(vault: any) => Promise<any>} debtOf the amount to pay back
 */

/** @returns {Promise<Lender>} it takes BLD and lends half its value in RUN */
const findTreasury = async (services, instance) => {
  const treasury = await E(services.zoe).getPublicFacet(instance);
  const { bld, runPurse, bldPurse } = await findEconomy(services);
  const loanOn = async collateral => {
    const kinds = await E(treasury).getCollaterals();
    const kind = kinds.find(({ brand }) => brand === bld);
    if (!kind) {
      throw Error('the treasury does not take BLD as collateral');
    }
    const { numerator, denominator } = kind.marketPrice;
    const value = (collateral.value * numerator.value) / denominator.value / 2n;
    return harden({ brand: numerator.brand, value });
  };
  return harden({
    minted: 'RUN',
    debtPurse: runPurse,
    collateralPurse: bldPurse,
    collateralBrand: bld,
    makeInvitation: () => E(treasury).makeLoanInvitation(),
    loanOn,
    debtOf: vault => E(vault).getDebtAmount(),
  });
};

/**
 * It takes ATOM and lends 1 IST on each: a twelfth of its value in the SDK's demonstrations, whose
 * limit for all debts together is 1000 IST.
 *
 * @returns {Promise<Lender>}
 */
const findFactory = async ({ agoricNames, bank, zoe }) => {
  const [instance, collateralBrand, brand] = await Promise.all([
    E(agoricNames).lookup('instance', FACTORY),
    lookupFirst(agoricNames, 'brand', ATOM),
    lookupFirst(agoricNames, 'brand', STABLE),
  ]);
  const factory = await E(zoe).getPublicFacet(instance);
  const [manager, collateralPurse, debtPurse] = await Promise.all([
    E(factory).getCollateralManager(collateralBrand),
    E(bank).getPurse(collateralBrand),
    E(bank).getPurse(brand),
  ]);
  const debtOf = async vault => {
    const { value } = await E(vault).getCurrentDebt();
    // Interest may be added before it is paid; what is too much comes back.
    return harden({ brand, value: value + value / 100n + 1n });
  };
  return harden({
    minted: 'Minted',
    debtPurse,
    collateralPurse,
    collateralBrand,
    makeInvitation: () => E(manager).makeVaultInvitation(),
    loanOn: async ({ value }) => harden({ brand, value }),
    debtOf,
  });
};

/** @returns {Promise<Lender>} */
export const findLender = async services => {
  let treasury;
  try {
    treasury = await E(services.agoricNames).lookup('instance', TREASURY);
  } catch (error) {
    return findFactory(services);
  }
  return findTreasury(services, treasury);
};
