import { Identity } from 'ehbp';
import { expect, test } from 'vitest';
import { makeTestSealedKeys, ringIn, type RingStore } from '../support/sealed-end.ts';

const HOUR = 3_600_000;
const policy = { rotateEveryMs: 24 * HOUR, overlapMs: HOUR, recogniseMs: 48 * HOUR };

/** The message of a client that was told `config`. */
async function sealFor(config: Uint8Array): Promise<readonly [Uint8Array, Uint8Array]> {
  const identity = await Identity.unmarshalPublicConfig(config);
  const request = new Request('http://x/', { method: 'POST', body: 'prompt' });
  const { request: sealed } = await identity.encryptRequestWithContext(request);
  const body = new Uint8Array(await sealed.arrayBuffer());
  return [Uint8Array.fromHex(sealed.headers.get('ehbp-encapsulated-key') ?? ''), body.subarray(4)];
}

const kindOf = async (opened: Promise<{ readonly kind: string }>): Promise<string> => (await opened).kind;

test('the key is made when somebody asks for it, once however many ask, and by nobody else', async () => {
  const { keys, store } = makeTestSealedKeys({ policy });
  expect(await kindOf(keys.open(new Uint8Array(32).fill(9), new Uint8Array(32)))).toBe('unopenable');
  await keys.keep();
  expect(store.setting).toBeUndefined();
  const [first, ...others] = await Promise.all([keys.published(), keys.published(), keys.published()]);
  for (const other of [...others, await keys.published()]) expect(other).toEqual(first);
  expect(ringIn(store).keys).toHaveLength(1);
});

test('private keys stand in the store under the master key only', async () => {
  const { keys, store } = makeTestSealedKeys({ policy });
  const opened = await keys.open(...(await sealFor(await keys.published())));
  expect(opened).toMatchObject({ kind: 'opened', plaintext: Uint8Array.from(Buffer.from('prompt')) });
  const { sealed, ...open } = ringIn(store);
  expect(Object.keys(open.keys[0] ?? {})).toEqual(['id', 'publicKey', 'madeAtMs', 'replacedAtMs']);
  expect(sealed).toMatch(/^[A-Za-z0-9+/]+={1,2}\.[0-9a-f]{12}$/);
});

test('the key before opens for the overlap, then its clients are told, and at last nobody knows it', async () => {
  let nowMs = 0;
  const { keys, store } = makeTestSealedKeys({ policy, nowMs: () => nowMs });
  const old = await keys.published();
  nowMs = 24 * HOUR - 1;
  expect(await keys.published()).toEqual(old);
  nowMs = 24 * HOUR;
  const young = await keys.published();
  expect(young).not.toEqual(old);
  expect(await kindOf(keys.open(...(await sealFor(old))))).toBe('opened');
  nowMs = 25 * HOUR - 1;
  expect(await kindOf(keys.open(...(await sealFor(old))))).toBe('opened');
  nowMs = 25 * HOUR;
  expect(await kindOf(keys.open(...(await sealFor(old))))).toBe('stale');
  expect(await kindOf(keys.open(...(await sealFor(young))))).toBe('opened');
  // The job goes on without anybody asking, and forgets.
  nowMs = 48 * HOUR;
  await keys.keep();
  nowMs = 73 * HOUR;
  expect(await kindOf(keys.open(...(await sealFor(old))))).toBe('unopenable');
  await keys.keep();
  expect(ringIn(store).keys.map(({ id }) => id)).toEqual(['sek_n7', 'sek_n5', 'sek_n3']);
});

test('nodes share their keys: whoever is told by one is opened by the other, before and after a change', async () => {
  let nowMs = 0;
  const shared: RingStore = { setting: undefined, reads: 0 };
  const node = (name: string) => makeTestSealedKeys({ policy, store: shared, nowMs: () => nowMs, name }).keys;
  const [one, two] = [node('a'), node('b')];
  const [told, same] = await Promise.all([one.published(), two.published()]);
  expect(same).toEqual(told);
  expect(await kindOf(two.open(...(await sealFor(told))))).toBe('opened');
  nowMs = 24 * HOUR;
  const changed = await one.published();
  expect(await kindOf(two.open(...(await sealFor(changed))))).toBe('opened');
  expect(await two.published()).toEqual(changed);
});

test('what opens costs no look at the store, and what does not costs one', async () => {
  const { keys, store } = makeTestSealedKeys({ policy });
  const config = await keys.published();
  const before = store.reads;
  for (let count = 0; count < 3; count++) await keys.open(...(await sealFor(config)));
  expect(store.reads).toBe(before);
  const [enc, frame] = await sealFor(config);
  expect(
    await kindOf(
      keys.open(
        enc,
        frame.map((byte) => byte ^ 1),
      ),
    ),
  ).toBe('unopenable');
  expect(store.reads).toBe(before + 1);
});

test('a change is told to the log by the id of the key, without anything of the key itself', async () => {
  const lines: Readonly<Record<string, unknown>>[] = [];
  const { keys } = makeTestSealedKeys({ policy, lines });
  await keys.published();
  expect(lines).toEqual([{ keyId: 'sek_n1', openingUntil: null }]);
});
