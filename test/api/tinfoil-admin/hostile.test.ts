import { afterEach, beforeEach, expect } from 'vitest';
import { testHostileRequests } from '../../support/hostile-requests.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
});
afterEach(() => at.close());

testHostileRequests({
  at: () => at,
  send: (method, url, body, headers) => at.as(ann)(method, url, body, headers),
  path: '/api/keys',
  method: 'POST',
  body: { name: 'a' },
  credential: () => ({ name: 'authorization', value: `Bearer ${ann}` }),
  expectForm: ({ json }) => {
    const { error, message, code, status, ...rest } = json as Record<string, unknown>;
    expect(rest).toEqual({});
    expect([typeof error, error, status]).toEqual(['string', message, 'error']);
    expect(code).toMatch(/^[A-Z_]+$/);
  },
});
