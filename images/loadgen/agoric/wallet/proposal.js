// What the bootstrap does with the contract: it starts it, and names it and its tokens in agoricNames,
// where smart wallets look for them.
import { E } from '@endo/far';

const TOKENS = ['LoadA', 'LoadB'];

const startLoad = async ({
  consume: { zoe },
  installation: {
    consume: { loadgenctl: installation },
  },
  instance: {
    produce: { loadgenctl: produceInstance },
  },
  brand: { produce: produceBrand },
  issuer: { produce: produceIssuer },
}) => {
  const { instance } = await E(zoe).startInstance(installation);
  const { brands, issuers } = await E(zoe).getTerms(instance);
  for (const name of TOKENS) {
    // The issuer first: a wallet that finds a brand asks for its issuer.
    produceIssuer[name].resolve(issuers[name]);
    produceBrand[name].resolve(brands[name]);
  }
  produceInstance.resolve(instance);
};
harden(startLoad);

const getManifestForLoad = ({ restoreRef }, { contract }) => {
  const tokens = Object.fromEntries(TOKENS.map(name => [name, true]));
  return {
    manifest: {
      [startLoad.name]: {
        consume: { zoe: true },
        installation: { consume: { loadgenctl: true } },
        instance: { produce: { loadgenctl: true } },
        brand: { produce: tokens },
        issuer: { produce: tokens },
      },
    },
    installations: { loadgenctl: restoreRef(contract) },
  };
};
harden(getManifestForLoad);

export { startLoad, getManifestForLoad };
