import { expect } from 'vitest';
import { stringifyJson } from '../../../src/core/json/int64.ts';
import type { DomainEvent } from '../../../src/core/effects.ts';
import { exactEventData } from '../../../src/core/events/event-amounts.ts';
import { expectAnswer, type Plane } from '../../support/cycles-answers.ts';
import { makeTestApp, type TestApp, type TestAppOptions } from '../../support/test-app.ts';

/** Who sends a request: the operator, or the holder of a key of a tenant. */
export type Sender = TestApp['operator'];

/** An answer whose body was found to be what its operation may answer with. */
export interface Checked {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: never;
}

/** The surface, with what the tests of budgets and policies do over and over. Every answer is held against the closed schemas. */
export interface Governance extends TestApp {
  /** Sends a request of an operation; a body may hold bigints, a text is sent as it is. */
  ask(
    operationId: string,
    sender: Sender,
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    body?: unknown,
    plane?: Plane,
  ): Promise<Checked>;
  /** Makes a tenant key and returns who sends with it. */
  keyOf(tenantId: string, parts?: { permissions?: readonly string[]; scope_filter?: readonly string[] }): Promise<Sender>;
  /** Makes a budget as the operator; 100 TOKENS where nothing else is said. */
  makeBudget(scope: string, parts?: Readonly<Record<string, unknown>>): Promise<Checked>;
  /** Funds a budget as the operator. */
  fund(scope: string, body: Readonly<Record<string, unknown>>, unit?: string): Promise<Checked>;
  /** Charges a budget by force of an event of the runtime plane. */
  spend(scope: string, amount: bigint, parts?: { unit?: string; overdraft?: boolean }): Promise<void>;
  /** The events of these types, or of those that begin so, oldest first, with exact amounts. */
  eventsOf(type: string): { readonly event: DomainEvent; readonly data: never }[];
}

/** Makes the surface over a store in memory, with the tenants `acme` and `other`. */
export async function makeGovernance(options: TestAppOptions = {}): Promise<Governance> {
  const app = await makeTestApp(options);
  const ask: Governance['ask'] = async (operationId, sender, method, url, body, plane = 'governance') => {
    const sent = body === undefined || typeof body === 'string' ? body : stringifyJson(body);
    const answer = await sender(method, url, sent);
    expectAnswer(operationId, answer.status, answer.json, plane);
    return { status: answer.status, headers: answer.headers, body: answer.json };
  };
  for (const id of ['acme', 'other']) {
    const made = await app.operator('POST', '/v1/admin/tenants', { tenant_id: id, name: id });
    expect(made.status).toBe(201);
  }
  let debits = 0;
  return {
    ...app,
    ask,
    keyOf: async (tenantId, parts = {}) => {
      const made = await app.operator('POST', '/v1/admin/api-keys', { tenant_id: tenantId, name: 'a key', ...parts });
      expect(made.status).toBe(201);
      return app.cycles((made.json as { key_secret: string }).key_secret);
    },
    makeBudget: (scope, parts = {}) => {
      const tenantId = /^tenant:([^/]*)/.exec(scope)?.[1];
      const body = {
        tenant_id: tenantId,
        scope,
        unit: 'TOKENS',
        allocated: { unit: (parts['unit'] as string) ?? 'TOKENS', amount: 100 },
        ...parts,
      };
      return ask('createBudget', app.operator, 'POST', '/v1/admin/budgets', body);
    },
    fund: (scope, body, unit = 'TOKENS') =>
      ask('fundBudget', app.operator, 'POST', `/v1/admin/budgets/fund?scope=${scope}&unit=${unit}`, body),
    spend: async (scope, amount, { unit = 'TOKENS', overdraft = false } = {}) => {
      const tenantId = /^tenant:([^/]*)/.exec(scope)?.[1] ?? '';
      debits += 1;
      const outcome = await app.writer.execute({
        verb: 'debit',
        id: `cmd_debit_${debits}`,
        tenantId,
        debitId: `evt_debit_${debits}`,
        accounts: [`${tenantId}|budget|${scope}|${unit}|` as never],
        otherUnitAccounts: [],
        amount,
        overagePolicy: overdraft ? 'ALLOW_WITH_OVERDRAFT' : 'ALLOW_IF_AVAILABLE',
      });
      if (!outcome.ok) throw new Error(outcome.rejection.message);
    },
    eventsOf: (type) =>
      app.store.tables.events
        .filter((event) => event.type === type || event.type.startsWith(`${type}.`))
        .map((event) => ({ event, data: exactEventData(event.data) as never })),
  };
}
