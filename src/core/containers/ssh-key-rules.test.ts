import { describe, expect, test } from 'vitest';
import { checkParsedSshKey, checkSshKeyName, readSshKeyLine } from './ssh-key-rules.ts';

const BASE64 = 'AAAAC3NzaC1lZDI1NTE5AAAAIJo0KU0EqODZPQSQUiRf1ne';
const LINE = { type: 'ssh-ed25519', base64: BASE64 };

describe('names of SSH keys', () => {
  test.each(['a', 'my-deploy-key', '2fa', '1-2', 'x'.repeat(256)])('%j is one', (name) => {
    expect(checkSshKeyName(name)).toBeNull();
  });

  test.each(['', 'A', 'a_b', '-a', 'a-', 'a--b', 'a b', 'a/b', 'a\n', 'é', 'x'.repeat(257), '../a', 'a\u0000'])('%j is none', (name) => {
    expect(checkSshKeyName(name)).toMatchObject({ rejection: { code: 'invalid_request', field: 'name' } });
  });
});

describe('the line of a public key', () => {
  test.each([
    `ssh-ed25519 ${BASE64}`,
    `ssh-ed25519 ${BASE64} `,
    `ssh-ed25519 ${BASE64} ann@laptop`,
    `ssh-ed25519 ${BASE64} a comment of words`,
    `ssh-ed25519 ${BASE64} ann\n`,
    `ssh-ed25519 ${BASE64}\r\n`,
  ])('%j is read', (text) => {
    expect(readSshKeyLine(text)).toEqual(LINE);
  });

  test.each([
    ['', 'one of the types'],
    ['key', 'one of the types'],
    [`ssh-dss ${BASE64}`, 'one of the types'],
    [`sk-ssh-ed25519@openssh.com ${BASE64}`, 'one of the types'],
    [` ssh-ed25519 ${BASE64}`, 'options'],
    [`no-pty ssh-ed25519 ${BASE64}`, 'options'],
    [`command="ls -l" ssh-ed25519 ${BASE64}`, 'options'],
    [`ssh-ed25519-cert-v01@openssh.com ${BASE64}`, 'certificates'],
    [`ssh-rsa-cert-v00@openssh.com ${BASE64}`, 'certificates'],
    ['ssh-ed25519', 'base64'],
    ['ssh-ed25519 ', 'base64'],
    [`ssh-ed25519\t${BASE64}`, 'control characters'],
    ['ssh-ed25519 not*base64', 'base64'],
    [`ssh-ed25519 ${BASE64}\nssh-ed25519 ${BASE64}`, 'one line'],
    [`ssh-ed25519 ${BASE64} a\n\n`, 'one line'],
    [`ssh-ed25519 ${BASE64} a\u0000`, 'control characters'],
    [`ssh-ed25519 ${BASE64} \ud800`, 'one line'],
    [`ssh-ed25519 ${'A'.repeat(9000)}`, '8192'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n-----END OPENSSH PRIVATE KEY-----\n', 'private'],
    ['-----BEGIN RSA PRIVATE KEY-----\nsecret', 'private'],
    ['PuTTY-User-Key-File-3: ssh-ed25519', 'private'],
    ['---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----', 'one line'],
  ])('%j is refused, and the text is not repeated', (text, rule) => {
    const read = readSshKeyLine(text);
    expect(read).toMatchObject({ refusal: { rejection: { code: 'invalid_request', field: 'public_key' } } });
    const message = 'refusal' in read ? read.refusal.rejection.message : '';
    expect(message).toContain(rule);
    expect(message).not.toMatch(/AAAA|secret/);
  });
});

describe('the bytes of a public key', () => {
  const parsed = { type: 'ssh-ed25519', publicKey: `ssh-ed25519 ${BASE64}`, fingerprint: 'SHA256:x', rsaBits: null };
  const rsa = { type: 'ssh-rsa', base64: BASE64 };
  const parsedRsa = (rsaBits: number) => ({ ...parsed, type: 'ssh-rsa', publicKey: `ssh-rsa ${BASE64}`, rsaBits });

  test('are of the type that is named, and nothing else', () => {
    expect(checkParsedSshKey(LINE, parsed)).toBeNull();
    expect(checkParsedSshKey(LINE, null)).toMatchObject({ rejection: { field: 'public_key' } });
    expect(checkParsedSshKey(LINE, parsedRsa(4096))).toMatchObject({ rejection: { field: 'public_key' } });
    expect(checkParsedSshKey({ ...LINE, base64: `${BASE64}AAAA` }, parsed)).toMatchObject({ rejection: { field: 'public_key' } });
  });

  test.each([2048, 3072, 16_384])('an RSA key of %d bits is taken', (bits) => expect(checkParsedSshKey(rsa, parsedRsa(bits))).toBeNull());
  test.each([0, 512, 2047, 16_385])('one of %d bits is not', (bits) => {
    expect(checkParsedSshKey(rsa, parsedRsa(bits))).toMatchObject({
      rejection: { message: `public_key must have 2048 to 16384 bits: this RSA key has ${bits}` },
    });
  });
});
