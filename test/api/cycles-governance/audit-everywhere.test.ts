import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GOVERNANCE_SURFACE } from '../../../src/api/cycles-governance/documented-surface.ts';
import { OPERATOR_SURFACE } from '../../../src/api/operator/operations.ts';
import { TINFOIL_SURFACE } from '../../../src/api/tinfoil-admin/operations.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

/** Every operation that changes something, or could, by its method and pattern. */
const changing = (operations: object): [string, string][] =>
  Object.keys(operations)
    .map((key) => key.split(' ') as [string, string])
    .filter(([method]) => method !== 'GET' && method !== 'HEAD');

let at: TestApp;
let ann: string;
let weak: string;
let key: string;

beforeAll(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  await at.operator('POST', '/v1/admin/tenants', { tenant_id: 'acme-corp', name: 'Acme' });
  const made = async (permissions: readonly string[]): Promise<string> => {
    const answer = await at.operator('POST', '/v1/admin/api-keys', { tenant_id: 'acme-corp', name: 'k', permissions });
    return (answer.json as { key_secret: string }).key_secret;
  };
  key = await made(['budgets:read', 'budgets:write', 'policies:read', 'policies:write', 'webhooks:read', 'webhooks:write', 'events:read']);
  weak = await made(['balances:read']);
});
afterAll(() => at.close());

const rows = () => at.store.tables.audit;

/** Sends a request that is refused, and tells what it left: a row, or one more failed credential. */
async function refused(send: TestApp['operator'], method: string, pattern: string): Promise<{ status: number; left: unknown }> {
  const before = rows().length;
  const failed = at.failedCredentials.total;
  const url = pattern.replaceAll(/:\w+/g, 'none');
  // A minute for each, so that no row is only counted.
  at.clock.advance(60_000);
  const { status } = await send(method as 'POST', url, method === 'DELETE' ? undefined : '{');
  const left = rows().slice(before);
  if (status === 401) return { status, left: at.failedCredentials.total - failed };
  expect(left.length).toBeGreaterThan(0);
  return { status, left: left.map(({ operation, status: shown }) => [operation, shown]) };
}

describe('every operation that changes something leaves a row where it is refused', () => {
  test.each([...changing(GOVERNANCE_SURFACE.operations), ...changing(OPERATOR_SURFACE.operations)])(
    'to the operator: %s %s',
    async (method, pattern) => {
      const { status, left } = await refused(at.operator, method, pattern);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(left).toEqual(status === 401 ? 1 : [[expect.any(String), status]]);
    },
  );

  test.each(changing(GOVERNANCE_SURFACE.operations))('to a tenant’s key: %s %s', async (method, pattern) => {
    const { status, left } = await refused(at.cycles(key), method, pattern);
    expect(left).toEqual(status === 401 ? 1 : [[expect.any(String), status]]);
    const other = await refused(at.cycles(weak), method, pattern);
    expect([401, 403]).toContain(other.status);
    expect(other.left).toEqual(other.status === 401 ? 1 : [[`${method}:${pattern}`, 403]]);
  });

  test.each(changing(TINFOIL_SURFACE.operations))('on the Tinfoil surface: %s %s', async (method, pattern) => {
    const { status, left } = await refused(at.as(ann), method, pattern);
    expect(left).toEqual([[expect.any(String), status]]);
  });
});
