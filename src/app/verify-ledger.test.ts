import { expect, test } from 'vitest';
import type { Verification } from '../ports/ledger-store.ts';
import { makeVerifyLedger } from './verify-ledger.ts';

const CLEAN: Verification = { accounts: 1, entries: 2, reservations: 3, discrepancies: [] };

test('who asks while the books are read is given the same answer; who asks later has them read again', async () => {
  let reads = 0;
  let finish: (read: Verification) => void = () => undefined;
  const verify = makeVerifyLedger({
    verify: () => {
      reads += 1;
      return new Promise((resolve) => {
        finish = resolve;
      });
    },
  });
  const both = Promise.all([verify(), verify()]);
  finish(CLEAN);
  expect(await both).toEqual([CLEAN, CLEAN]);
  expect(reads).toBe(1);
  const later = verify();
  finish({ ...CLEAN, entries: 5 });
  expect((await later).entries).toBe(5);
});

test('a reading that fails is not remembered', async () => {
  const answers = [Promise.reject(new Error('gone')), Promise.resolve(CLEAN)];
  const verify = makeVerifyLedger({ verify: () => answers.shift() ?? Promise.resolve(CLEAN) });
  await expect(verify()).rejects.toThrow('gone');
  expect(await verify()).toEqual(CLEAN);
});
