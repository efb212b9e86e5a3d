import { expect, test } from 'vitest';
import { deriveScopes } from './subject.ts';

test('scopes are cumulative, in canonical order, and gaps are skipped', () => {
  expect(deriveScopes({ workflow: 'refund', tenant: 'acme', app: 'bot' })).toEqual({
    ok: true,
    value: {
      tenant: 'acme',
      scopes: ['tenant:acme', 'tenant:acme/app:bot', 'tenant:acme/app:bot/workflow:refund'],
      path: 'tenant:acme/app:bot/workflow:refund',
    },
  });
});

test('values are taken in lower case, blank levels are absent, and dimensions are no scopes', () => {
  expect(deriveScopes({ tenant: 'ACME', workspace: ' ', app: '', agent: 'A_b.C-1', dimensions: { team: 'x' } })).toMatchObject({
    value: { tenant: 'acme', scopes: ['tenant:acme', 'tenant:acme/agent:a_b.c-1'] },
  });
});

test('a subject without a tenant begins at its first level', () => {
  expect(deriveScopes({ workspace: 'eng', agent: 'a' })).toMatchObject({
    value: { tenant: null, scopes: ['workspace:eng', 'workspace:eng/agent:a'], path: 'workspace:eng/agent:a' },
  });
});

test.each([
  [{}, 'subject'],
  [{ dimensions: { a: 'b' } }, 'subject'],
  [{ tenant: '', app: '  ' }, 'subject'],
  [{ tenant: 'a/b' }, 'subject.tenant'],
  [{ tenant: 'acme', app: 'b:c' }, 'subject.app'],
  [{ tenant: 'acme', agent: 'a b' }, 'subject.agent'],
  [{ tenant: 'acme', toolset: 'é' }, 'subject.toolset'],
  [{ tenant: 'acme', workflow: 'a'.repeat(129) }, 'subject.workflow'],
])('the subject %j is refused at %s', (subject, field) => {
  expect(deriveScopes(subject)).toMatchObject({ ok: false, rejection: { code: 'invalid_request', field } });
});

test('a value of exactly 128 characters is taken', () => {
  expect(deriveScopes({ tenant: 'a'.repeat(128) })).toMatchObject({ ok: true });
});
