/** Micro-cents in a cent. */
const MICROCENTS = 1_000_000n;

/** An amount in micro-cents of a currency as people read it: in whole units, to the cent, halves to the even cent. */
export function displayedAmount(microcents: bigint): number {
  const size = microcents < 0n ? -microcents : microcents;
  const rest = size % MICROCENTS;
  const floor = size / MICROCENTS;
  const isUp = rest * 2n > MICROCENTS || (rest * 2n === MICROCENTS && floor % 2n === 1n);
  const cents = isUp ? floor + 1n : floor;
  return Number(microcents < 0n ? -cents : cents) / 100;
}
