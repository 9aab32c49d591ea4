// The faucet's agent. It lives in a vat of the solo and keeps the client's purse.
import { E } from '@agoric/eventual-send';
import { Far } from '@agoric/marshal';

export default async function startAgent({ zoe, installation }) {
  const { publicFacet } = await E(zoe).startInstance(installation);
  const [issuer, handout] = await Promise.all([
    E(publicFacet).getIssuer(),
    E(publicFacet).getHandout(),
  ]);
  const purse = await E(issuer).makeEmptyPurse();

  // Each await below is one round trip from the solo through the chain: four in all.
  const cycle = async () => {
    const invitation = await E(publicFacet).makeInvitation();
    const seat = await E(zoe).offer(invitation, harden({ want: { Token: handout } }));
    const payment = await E(seat).getPayout('Token');
    // Sent in one turn, these three reach the purse in this order with nothing of another
    // cycle between them, so that the balance's move is this cycle's own.
    const [before, deposited, after] = await Promise.all([
      E(purse).getCurrentAmount(),
      E(purse).deposit(payment),
      E(purse).getCurrentAmount(),
    ]);
    const moved = after.value - before.value;
    if (moved !== handout.value || deposited.value !== handout.value) {
      throw Error(
        `faucet handed over ${deposited.value} and the purse moved by ${moved}, not by ${handout.value}`,
      );
    }
    return harden({ moved: `${moved}`, balance: `${after.value}` });
  };

  return Far('loadgen faucet agent', { cycle });
}
