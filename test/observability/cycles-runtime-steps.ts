import type { Ask } from './cycles-steps.ts';

type Headers = Readonly<Record<string, string>>;

const tokens = (amount: number): object => ({ unit: 'TOKENS', amount });
const action = { kind: 'llm.completion', name: 'demo' };

/** Holds that are extended, committed and released. */
async function askHolds(ask: Ask, tenant: string, headers: Headers): Promise<void> {
  const path = '/v1/reservations';
  const hold = (key: string, amount = 10): object => ({ idempotency_key: key, subject: { tenant }, action, estimate: tokens(amount) });
  const at = (id: unknown, verb: string): [string, string] => [`POST ${path}/:reservation_id/${verb}`, `${path}/${String(id)}/${verb}`];
  await ask('POST /v1/decide', '/v1/decide', 200, hold('d'), headers);
  await ask('POST /v1/decide', '/v1/decide', 400, {}, headers);
  await ask(`POST ${path}`, path, 200, { ...hold('n'), dry_run: true }, headers);
  const { reservation_id: spent } = await ask(`POST ${path}`, path, 200, { ...hold('a'), ttl_ms: 60_000 }, headers);
  const { reservation_id: returned } = await ask(`POST ${path}`, path, 200, hold('b'), headers);
  await ask(`POST ${path}`, path, 409, hold('c', 1_000_000), headers);
  await ask(...at(spent, 'extend'), 200, { idempotency_key: 'e', extend_by_ms: 1000 }, headers);
  await ask(`GET ${path}/:reservation_id`, `${path}/${String(spent)}`, 200, undefined, headers);
  await ask(...at(spent, 'commit'), 200, { idempotency_key: 'f', actual: tokens(7), metrics: { tokens_input: 3 } }, headers);
  await ask(...at(spent, 'commit'), 409, { idempotency_key: 'g', actual: tokens(7) }, headers);
  await ask(...at(returned, 'release'), 200, { idempotency_key: 'h', reason: 'not needed' }, headers);
  await ask(`GET ${path}/:reservation_id`, `${path}/${String(spent)}`, 200, undefined, headers);
  await ask(`GET ${path}/:reservation_id`, `${path}/nobody`, 404, undefined, headers);
  await ask(`GET ${path}`, `${path}?limit=1`, 200, undefined, headers);
  await ask(`GET ${path}`, `${path}?limit=0`, 400, undefined, headers);
}

/** What a client of the runtime plane does, by a tenant with a budget of tokens. */
export async function askRuntime(ask: Ask, tenant: string, headers: Headers): Promise<void> {
  await askHolds(ask, tenant, headers);
  const event = { idempotency_key: 'e', subject: { tenant }, action, actual: tokens(3) };
  await ask('POST /v1/events', '/v1/events', 201, event, headers);
  await ask('POST /v1/events', '/v1/events', 401, event, {});
  await ask('GET /v1/balances', `/v1/balances?tenant=${tenant}`, 200, undefined, headers);
  await ask('GET /v1/balances', `/v1/balances?tenant=${tenant}&limit=0`, 400, undefined, headers);
  await ask('GET /v1/evidence/:evidence_id', `/v1/evidence/${'0'.repeat(64)}`, 404, undefined, {});
  await ask('GET /v1/evidence/:evidence_id', '/v1/evidence/x', 400, undefined, {});
  await ask('GET /v1/.well-known/cycles-jwks.json', '/v1/.well-known/cycles-jwks.json', 404, undefined, {});
}
