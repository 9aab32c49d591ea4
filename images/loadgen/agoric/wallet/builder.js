// The entry of a bootstrap configuration that brings the contract in (`coreProposals`).
const defaultProposalBuilder = async ({ publishRef, install }) => ({
  sourceSpec: './proposal.js',
  getManifestCall: [
    'getManifestForLoad',
    { contract: publishRef(install('./contract.js')) },
  ],
});

export { defaultProposalBuilder };
