import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeHostKey, readHostKey } from './host-key.ts';
import { parseSshKey } from './parse-ssh-key.ts';

test('every key that is made can be read, is another one, and its public half is one that is taken', async () => {
  const made = await Promise.all(Array.from({ length: 300 }, () => readHostKey(makeHostKey())));
  expect(new Set(made.map(({ fingerprint }) => fingerprint)).size).toBe(300);
  for (const { publicKey, fingerprint } of made) {
    const [type = '', base64 = ''] = publicKey.split(' ');
    expect(await parseSshKey({ type, base64 })).toEqual({ type: 'ssh-ed25519', publicKey, fingerprint, rsaBits: null });
  }
});

test('what is no private key is refused', async () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  for (const text of ['', 'x', pem]) await expect(readHostKey(text)).rejects.toThrow('cannot be read');
});
