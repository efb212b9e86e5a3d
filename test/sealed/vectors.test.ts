import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decryptChunk, deriveResponseKeys, hexToBytes, Identity } from 'ehbp';
import { expect, test } from 'vitest';
import { encodeKeyConfig } from '../../src/core/sealed/key-config.ts';
import { frameNonce } from '../../src/core/sealed/key-schedule.ts';
import { FrameSplitter } from '../../src/core/sealed/frames.ts';
import { makeAnswerSealer, makeHpkeCrypto } from '../../src/sealed/hpke-crypto.ts';

/** Made by make-vectors.py beside it, from the specifications alone. */
const read = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/sealed/vectors.json'), 'utf8')) as Record<
  string,
  string | string[]
>;
const hex = (name: string): Uint8Array => Uint8Array.fromHex(String(read[name]));
const hexes = (name: string): Uint8Array[] => (read[name] as string[]).map((each) => Uint8Array.fromHex(each));

const splitAll = (body: Uint8Array): readonly Uint8Array[] => {
  const split = new FrameSplitter({ maxFrameBytes: 10_000 }).push(body);
  return split.ok ? split.frames : [];
};

const receive = async () => {
  const receiver = await makeHpkeCrypto().load({ publicKey: hex('public_key'), privateKey: hex('private_key') });
  return receiver.receive(hex('encapsulated_key'));
};

test('the key is told as one configuration of RFC 9458, which the client library reads', async () => {
  expect(encodeKeyConfig(hex('public_key')).toHex()).toBe(read['key_config']);
  const identity = await Identity.unmarshalPublicConfig(encodeKeyConfig(hex('public_key')));
  expect(await identity.getPublicKeyHex()).toBe(read['public_key']);
  expect(Buffer.from(await identity.marshalConfig()).toString('hex')).toBe(read['key_config']);
});

test('the frames of a request open one after another, the empty one too', async () => {
  const context = await receive();
  const opened: (Uint8Array | null | undefined)[] = [];
  for (const frame of splitAll(hex('request_body'))) opened.push(await context?.open(frame));
  expect(opened.map((each) => each?.toHex())).toEqual(read['request']);
});

test('the answer to it is sealed under the keys that follow from its secret and nonce, byte for byte', () => {
  const sealer = makeAnswerSealer({ secret: hex('secret'), encapsulatedKey: hex('encapsulated_key'), nonce: hex('response_nonce') });
  expect(sealer.nonce).toBe(read['response_nonce']);
  expect(Buffer.concat(hexes('answer').map((piece) => sealer.seal(piece))).toString('hex')).toBe(read['answer_body']);
});

test('the client library derives the same keys and opens the same frames', async () => {
  const keys = await deriveResponseKeys(hex('secret'), hex('encapsulated_key'), hex('response_nonce'));
  expect([Buffer.from(keys.keyBytes).toString('hex'), Buffer.from(keys.nonceBase).toString('hex')]).toEqual([
    read['answer_key'],
    read['answer_base_nonce'],
  ]);
  const opened = await Promise.all(splitAll(hex('answer_body')).map((frame, index) => decryptChunk(keys, index, frame)));
  expect(opened.map((each) => Buffer.from(each).toString('hex'))).toEqual(read['answer']);
});

test('what the context exports is what its answers are sealed with, under a nonce that is never the same', async () => {
  const context = await receive();
  const [one, two] = await Promise.all([context?.answer(), context?.answer()]);
  expect(one?.nonce).toMatch(/^[0-9a-f]{64}$/);
  expect(one?.nonce).not.toBe(two?.nonce);
  const keys = await deriveResponseKeys(hex('secret'), hex('encapsulated_key'), hexToBytes(one?.nonce ?? ''));
  const [frame] = splitAll(one?.seal(Buffer.from('sealed')) ?? new Uint8Array());
  expect(Buffer.from(await decryptChunk(keys, 0, frame ?? new Uint8Array())).toString()).toBe('sealed');
});

test('the nonce of a frame counts over its last four bytes, and there is none beyond them', () => {
  const base = hex('answer_base_nonce');
  expect(frameNonce(base, 0).toHex()).toBe(read['answer_base_nonce']);
  expect(frameNonce(base, 2 ** 32 - 1).toHex()).toBe(read['nonce_of_frame_4294967295']);
  for (const index of [-1, 0.5, 2 ** 32]) expect(() => frameNonce(base, index)).toThrow(RangeError);
});

test('neither a frame out of its order nor a changed one opens, and a point of low order is no key', async () => {
  const frames = splitAll(hex('request_body'));
  const swapped = await receive();
  expect(await swapped?.open(frames[1]!)).toBeNull();
  const changed = await receive();
  expect(await changed?.open(frames[0]!.map((byte, at) => (at === 3 ? byte ^ 1 : byte)))).toBeNull();
  const receiver = await makeHpkeCrypto().load({ publicKey: hex('public_key'), privateKey: hex('private_key') });
  expect(await receiver.receive(new Uint8Array(32))).toBeNull();
  expect(await receiver.receive(Uint8Array.from([1, ...new Uint8Array(31)]))).toBeNull();
});
