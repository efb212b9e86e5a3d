const DECIMALS = 9;

/** The exact sum of decimal amounts of at most nine decimals, as the API writes costs. */
export function sumUsd(amounts: readonly string[]): string {
  const nanos = amounts.reduce((sum, amount) => {
    const [whole = '0', fraction = ''] = amount.split('.');
    return sum + BigInt(whole + fraction.padEnd(DECIMALS, '0'));
  }, 0n);
  const digits = String(nanos).padStart(DECIMALS + 1, '0');
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, '');
  return digits.slice(0, -DECIMALS) + (fraction === '' ? '' : `.${fraction}`);
}
