import type { Running } from '../../src/server/boot.ts';
import { parseJson } from '../../src/core/json/int64.ts';
import { expectAnswer, type Plane } from '../support/cycles-answers.ts';
import type { HttpClient } from '../support/http-client.ts';

/** An event as the operator's list shows it; whole numbers as they stand, exact where they are large. */
export interface ShownEvent {
  readonly event_id: string;
  readonly event_type: string;
  readonly category: string;
  readonly tenant_id: string;
  readonly scope?: string;
  readonly actor: Readonly<Record<string, unknown>>;
  readonly source: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly request_id?: string;
  readonly trace_id?: string;
}

type Body = Readonly<Record<string, unknown>>;

/** What every case uses: a tenant of its own, and the surfaces of the running server. Every answer is held against the closed schemas. */
export interface Stage {
  readonly tenant: string;
  readonly scope: string;
  readonly keyId: string;
  /** Asks the governance plane as the operator. */
  admin<T = Body>(operation: string, method: string, path: string, body?: unknown): Promise<T>;
  /** The same, for answers that are refusals: gives the status. */
  refused(operation: string, method: string, path: string, body?: unknown): Promise<number>;
  /** Asks the runtime plane with the tenant's key. */
  run<T = Body>(operation: string, method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: T }>;
  /** Makes a budget of `amount` TOKENS at the tenant's scope. */
  budget(amount: number, parts?: Body): Promise<void>;
  fund(operation: string, amount: number, parts?: Body): Promise<void>;
  /** The query that names the tenant's budget. */
  readonly named: string;
  /** Holds `amount`; gives the reservation's id. */
  reserve(amount: number, parts?: Body): Promise<string>;
  /** A body of a hold under an idempotency key of its own. */
  hold(amount: number, parts?: Body): Body;
  commit(id: string, amount: number, parts?: Body): Promise<void>;
  release(id: string): Promise<void>;
  webhook(parts?: Body): Promise<string>;
}

/** An amount of the unit of these tests. */
export const tokens = (amount: number): Body => ({ unit: 'TOKENS', amount });

/** A host that takes every webhook's place here: nobody resolves it, so that nothing is sent. */
export const NOWHERE = 'https://hooks.invalid/';

/** Makes the tenant of a case, with a key that may do everything on the runtime plane. */
export async function makeStage(
  deps: { readonly running: Running; readonly http: HttpClient; readonly operatorKey: string },
  tenant: string,
): Promise<Stage> {
  const { running, http, operatorKey } = deps;
  const { admin: control, runtime } = running.listeners;
  let serial = 0;
  const idempotencyKey = (): string => `${tenant}-${(serial += 1)}`;
  const ask = async (
    plane: Plane,
    operation: string,
    request: { readonly method: string; readonly path: string; readonly body: unknown; readonly headers: Readonly<Record<string, string>> },
  ): Promise<{ readonly status: number; readonly body: unknown }> => {
    const { method, path, body, headers } = request;
    const origin = plane === 'runtime' ? runtime.origin : control.origin;
    const answer = await http.ask(`${origin}${path}`, { method, headers, body });
    const parsed = answer.text === '' ? undefined : parseJson(answer.text);
    expectAnswer(operation, answer.status, parsed, plane);
    return { status: answer.status, body: parsed };
  };
  const asOperator = (operation: string, method: string, path: string, body?: unknown) =>
    ask('governance', operation, { method, path, body, headers: { 'x-admin-api-key': operatorKey } });
  const admin: Stage['admin'] = async <T>(operation: string, method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await asOperator(operation, method, path, body);
    if (answer.status >= 300) throw new Error(`${operation} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as T;
  };
  const made = await admin<{ tenant_id: string }>('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: tenant, name: tenant });
  const scope = `tenant:${made.tenant_id}`;
  const key = await admin<{ key_id: string; key_secret: string }>('createApiKey', 'POST', '/v1/admin/api-keys', {
    tenant_id: tenant,
    name: 'k',
  });
  const run: Stage['run'] = async <T>(operation: string, method: string, path: string, body?: unknown) => {
    const answer = await ask('runtime', operation, { method, path, body, headers: { 'x-cycles-api-key': key.key_secret } });
    return { status: answer.status, body: answer.body as T };
  };
  const named = `scope=${scope}&unit=TOKENS`;
  const hold: Stage['hold'] = (amount, parts = {}) => ({
    idempotency_key: idempotencyKey(),
    subject: { tenant },
    action: { kind: 'llm.completion', name: 'a-model' },
    estimate: tokens(amount),
    ...parts,
  });
  const must = async (operation: string, path: string, body: Body): Promise<Body> => {
    const answer = await run(operation, 'POST', path, body);
    if (answer.status >= 300) throw new Error(`${operation}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  return {
    tenant,
    scope,
    keyId: key.key_id,
    named,
    admin,
    refused: async (...request) => (await asOperator(...request)).status,
    run,
    hold,
    budget: async (amount, parts = {}) =>
      void (await admin('createBudget', 'POST', '/v1/admin/budgets', {
        tenant_id: tenant,
        scope,
        unit: 'TOKENS',
        allocated: tokens(amount),
        ...parts,
      })),
    fund: async (operation, amount, parts = {}) => {
      const body = { operation, amount: tokens(amount), idempotency_key: idempotencyKey(), ...parts };
      // Twice: what is answered from memory tells nothing again.
      for (let n = 0; n < 2; n++) await admin('fundBudget', 'POST', `/v1/admin/budgets/fund?${named}`, body);
    },
    reserve: async (amount, parts) => {
      const body = hold(amount, parts);
      const first = await must('createReservation', '/v1/reservations', body);
      await must('createReservation', '/v1/reservations', body);
      return String(first['reservation_id']);
    },
    commit: async (id, amount, parts = {}) => {
      const body = { idempotency_key: idempotencyKey(), actual: tokens(amount), ...parts };
      for (let n = 0; n < 2; n++) await must('commitReservation', `/v1/reservations/${id}/commit`, body);
    },
    release: async (id) => void (await must('releaseReservation', `/v1/reservations/${id}/release`, { idempotency_key: idempotencyKey() })),
    webhook: async (parts = {}) => {
      const body = { url: NOWHERE, event_types: ['budget.created'], retry_policy: { max_retries: 0 }, ...parts };
      const path = `/v1/admin/webhooks?tenant_id=${tenant}`;
      const answer = await admin<{ subscription: { subscription_id: string } }>('createWebhookSubscription', 'POST', path, body);
      return answer.subscription.subscription_id;
    },
  };
}
