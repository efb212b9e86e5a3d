import { describe, expect, test } from 'vitest';
import { checkCredentials, checkSecretName, checkSecretValue, isCredentialRegistry, MAX_SECRET_BYTES } from './secret-rules.ts';

describe('names of secrets', () => {
  test.each(['A', 'DATABASE_URL', 'A1_2B', 'X'.repeat(256), 'a', 'api-key', '1-2', '2fa'])('%j is one', (name) => {
    expect(checkSecretName(name)).toBeNull();
  });

  test.each([
    '',
    'Mixed',
    'A-B',
    'a_b',
    '_A',
    'A_',
    'A__B',
    '-a',
    'a-',
    'a--b',
    '1A',
    'a b',
    'a/b',
    'A\n',
    'É',
    'x'.repeat(257),
    '../a',
    'A\u0000',
  ])('%j is none', (name) => {
    expect(checkSecretName(name)).toMatchObject({
      rejection: {
        code: 'invalid_request',
        field: 'name',
        message: 'name must be UPPER_SNAKE_CASE or kebab-case, of at most 256 characters',
      },
    });
  });
});

describe('values of secrets', () => {
  test.each(['x', ' lines\nand "quotes" ', 'ü'.repeat(MAX_SECRET_BYTES / 2), 'x'.repeat(MAX_SECRET_BYTES), '😀'])(
    '%# is taken as it is',
    (value) => {
      expect(checkSecretValue(value)).toBeNull();
    },
  );

  test.each([
    ['', 'value must have 1 to 65536 bytes'],
    ['x'.repeat(MAX_SECRET_BYTES + 1), 'value must have 1 to 65536 bytes'],
    ['ü'.repeat(MAX_SECRET_BYTES / 2 + 1), 'value must have 1 to 65536 bytes'],
    ['a\u0000b', 'value must not hold a NUL character'],
    ['a\ud800', 'value must be text that UTF-8 can hold: it has half of a surrogate pair'],
  ])('%# is refused, and not told', (value, message) => {
    expect(checkSecretValue(value)).toMatchObject({ rejection: { code: 'invalid_request', field: 'value', message } });
  });
});

const NONE = { username: null, token: null, key: null };
const ACCOUNT = { type: 'service_account', client_email: 'a@b.example', private_key: 'pem' };
const keyOf = (changes: Record<string, unknown>): string => JSON.stringify({ ...ACCOUNT, ...changes });

describe('credentials', () => {
  test('are for three registries', () => {
    expect(['ghcr', 'gcr', 'dockerhub', 'other', 'GHCR', '__proto__', ''].filter(isCredentialRegistry)).toEqual([
      'ghcr',
      'gcr',
      'dockerhub',
    ]);
  });

  test('are kept as they are given', () => {
    const given = { ...NONE, username: 'ann', token: ' t ' };
    expect(checkCredentials('ghcr', given)).toEqual({ credentials: { username: 'ann', password: ' t ' } });
    expect(checkCredentials('dockerhub', given)).toEqual({ credentials: { username: 'ann', password: ' t ' } });
    const key = ` ${keyOf({})}\n`;
    expect(checkCredentials('gcr', { ...NONE, key })).toEqual({ credentials: { username: 'a@b.example', password: key } });
  });

  test.each([
    ['ghcr', NONE, 'username must be given'],
    ['ghcr', { ...NONE, username: 'a' }, 'token must be given'],
    ['dockerhub', { ...NONE, token: 'a' }, 'username must be given'],
    ['ghcr', { ...NONE, username: '', token: 'a' }, 'username must have 1 to 256 characters, and no colon or control characters'],
    ['ghcr', { ...NONE, username: 'a:b', token: 'a' }, 'username must have 1 to 256 characters, and no colon or control characters'],
    ['ghcr', { ...NONE, username: 'a', token: '' }, 'token must have 1 to 4096 bytes, and no control characters'],
    ['ghcr', { ...NONE, username: 'a', token: 'a\r\nX: b' }, 'token must have 1 to 4096 bytes, and no control characters'],
    ['ghcr', { ...NONE, username: 'a', token: 'a'.repeat(4097) }, 'token must have 1 to 4096 bytes, and no control characters'],
    ['ghcr', { username: 'a', token: 'a', key: 'a' }, 'key must be left out: ghcr takes username and token'],
    ['gcr', NONE, 'key must be given'],
    ['gcr', { ...NONE, username: 'a' }, 'username must be left out: gcr takes key'],
    ['gcr', { ...NONE, token: 'a' }, 'token must be left out: gcr takes key'],
    ['gcr', { ...NONE, key: '{' }, 'key must be the JSON key of a service account, as a string'],
    ['gcr', { ...NONE, key: '[]' }, 'key must be the JSON key of a service account, as a string'],
    ['gcr', { ...NONE, key: 'null' }, 'key must be the JSON key of a service account, as a string'],
    ['gcr', { ...NONE, key: keyOf({ type: 'authorized_user' }) }, 'key must have the type service_account'],
    ['gcr', { ...NONE, key: keyOf({ client_email: 5 }) }, 'key must have a client_email'],
    ['gcr', { ...NONE, key: keyOf({ private_key: '' }) }, 'key must have a private_key'],
    ['gcr', { ...NONE, key: keyOf({ private_key: 'x'.repeat(20_000) }) }, 'key must be at most 16384 bytes'],
  ] as const)('%s with %j: %s', (registry, given, message) => {
    expect(checkCredentials(registry, given)).toMatchObject({ ok: false, rejection: { code: 'invalid_request', message } });
  });
});
