// A contract with a mint of its own: each offer gets HANDOUT tokens.
import { Far } from '@agoric/marshal';

const HANDOUT = 1000n;

const start = async zcf => {
  const mint = await zcf.makeZCFMint('LoadToken');
  const { issuer, brand } = mint.getIssuerRecord();
  const handout = harden({ brand, value: HANDOUT });

  const handOver = seat => {
    mint.mintGains(harden({ Token: handout }), seat);
    seat.exit();
    return 'handed over';
  };

  const publicFacet = Far('loadgen faucet', {
    getIssuer: () => issuer,
    getHandout: () => handout,
    makeInvitation: () => zcf.makeInvitation(handOver, 'loadgen faucet'),
  });
  return harden({ publicFacet });
};

harden(start);
export { start };
