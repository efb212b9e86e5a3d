import { afterEach, beforeEach, expect } from 'vitest';
import { testHostileRequests } from '../../support/hostile-requests.ts';
import { makeTestApp, OPERATOR_KEY, type TestApp } from '../../support/test-app.ts';

let at: TestApp;

beforeEach(async () => {
  at = await makeTestApp();
});
afterEach(() => at.close());

testHostileRequests({
  at: () => at,
  send: (method, url, body, headers) => at.operator(method, url, body, headers),
  path: '/v1/x-castellan/tenants',
  method: 'POST',
  body: { id: 'acme' },
  credential: () => ({ name: 'x-admin-api-key', value: OPERATOR_KEY }),
  expectForm: ({ json }) => {
    const { error, message, request_id: requestId, details, ...rest } = json as Record<string, unknown>;
    expect(rest).toEqual({});
    expect(error).toMatch(/^[A-Z_]+$/);
    expect(typeof message).toBe('string');
    expect(requestId).toMatch(/^req_/);
    if (details !== undefined) expect(details).toEqual({ field: expect.any(String) as string });
  },
});
