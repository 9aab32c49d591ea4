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

  // What was put into the purse so far. No other user has it, and what this vat sends to the chain
  // arrives in the order it was sent: a balance is always what was put in before it was asked for.
  let total = 0n;

  const deposit = async payment => {
    total += handout.value;
    let moved = 0n;
    try {
      moved = (await E(purse).deposit(payment)).value;
    } finally {
      total += moved - handout.value;
    }
    if (moved !== handout.value) {
      throw Error(`the faucet handed over ${moved}, not ${handout.value}`);
    }
  };

  // Each await below is one round trip from the solo through the chain: three in all, with the
  // same messages in the same turns as in the original load generator.
  const cycle = async () => {
    const invitation = E(publicFacet).makeInvitation();
    const seat = E(zoe).offer(invitation, harden({ want: { Token: handout } }));
    const payment = await E(seat).getPayout('Token');
    await Promise.all([deposit(payment), E(seat).getOfferResult()]);
    const expected = total;
    const { value: balance } = await E(purse).getCurrentAmount();
    if (balance !== expected) {
      throw Error(`the purse holds ${balance} after ${expected} were put into it`);
    }
    return harden({ moved: `${handout.value}`, balance: `${balance}` });
  };

  return Far('loadgen faucet agent', { cycle });
}
