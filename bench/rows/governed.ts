import { callApi, type StartedCastellan } from '../support/castellan.ts';
import { jsonRequest, type LoadPlan } from '../support/load.ts';
import type { Row } from '../support/report.ts';
import { interleave } from '../support/rounds.ts';
import { rounded } from '../support/stats.ts';
import { withGateway } from './gateway.ts';

const MOMENT = '2026-01-01T00:00:00Z';

/** Makes a tenant whose calls have settings, five windows and a balance to obey beside the caps and budgets of the bench's own key; returns a key of it. */
async function makeGoverned({ adminPort, operatorKey }: StartedCastellan): Promise<string> {
  const base = `http://127.0.0.1:${adminPort}`;
  const operate = (method: string, path: string, body: unknown): Promise<unknown> =>
    callApi(`${base}/v1/x-castellan${path}`, { 'x-admin-api-key': operatorKey }, { method, body });
  await operate('POST', '/tenants', { id: 'governed', name: 'Governed' });
  await operate('POST', '/tenants/governed/members', { id: 'ann', email: 'ann@example.com', role: 'admin' });
  await operate('PUT', '/tenants/governed/money-budget', { money_budget_usd: 1_000_000 });
  await operate('POST', '/exchange-rates', { currency: 'EUR', per_usd: '0.92' });
  await operate('PATCH', '/tenants/governed', { require_balance: true });
  await operate('POST', '/tenants/governed/credits', { amount: 1_000_000, reason: 'bench', idempotency_key: 'bench' });
  const manager = (await operate('POST', '/tenants/governed/management-keys', { name: 'bench', member_id: 'ann' })) as { key: string };
  const manage = (method: string, path: string, body: unknown): Promise<unknown> =>
    callApi(`${base}/manage${path}`, { authorization: `Bearer ${manager.key}` }, { method, body });
  await manage('PUT', '/project-configs', {
    allow_overwrite: false,
    inference_config: { preference: 'balanced', allowed_providers: ['bench'], allow_quantization: false, blacklisted_models: ['other'] },
    created_at: MOMENT,
    updated_at: MOMENT,
  });
  for (const [scope, period] of [
    ['project', 'daily'],
    ['project', 'weekly'],
    ['project', 'monthly'],
    ['each_user', 'daily'],
    ['each_key', 'daily'],
  ])
    await manage('PUT', '/budgets', { scope, period, limit_usd: 1_000_000 });
  const { api_key: key } = (await manage('POST', '/api-keys', { name: 'calls' })) as { api_key: string };
  const { keys } = (await callApi(`${base}/v1/x-castellan/keys?tenant_id=governed`, { 'x-admin-api-key': operatorKey })) as {
    keys: { id: string; name: string }[];
  };
  const id = keys.find(({ name }) => name === 'calls')?.id ?? '';
  await operate('PATCH', `/keys/${id}`, { max_tokens: 4_000_000_000_000, money_budget_usd: 1_000_000 });
  return key;
}

/** Calls under project settings, five windows and a balance beside calls without them, on the same server. */
export async function gatewayGoverned(options: { rounds: number; durationMs: number }): Promise<Row[]> {
  return withGateway({}, async ({ relay, ours }) => {
    const governed = await makeGoverned(ours);
    const rows: Row[] = [];
    for (const [clients, stream] of [
      [1, false],
      [16, false],
      [32, true],
    ] as const) {
      const body = {
        model: 'bench',
        messages: [{ role: 'user', content: 'Say a few words about castles, please.' }],
        max_tokens: 64,
        ...(stream ? { stream } : {}),
      };
      const plan = (port: number, bearer: string): LoadPlan => ({
        port,
        request: jsonRequest({ path: '/v1/chat/completions', bearer, body }),
        clients,
        durationMs: options.durationMs,
      });
      const plans = { relay: plan(relay.port, 'none'), plain: plan(ours.port, ours.key), governed: plan(ours.port, governed) };
      const found = await interleave(plans, options.rounds);
      const told = ({ rate, p50Ms, firstByteP50Ms }: typeof found.governed): string =>
        stream ? `first byte p50 ${rounded(firstByteP50Ms)} ms` : `${Math.round(rate)}/s, p50 ${rounded(p50Ms)} ms`;
      rows.push({
        what: `settings, five windows and a balance, ${stream ? `${clients} streams` : `${clients} clients`}`,
        ours: told(found.governed),
        baseline: `without them ${told(found.plain)}`,
        ratio: stream
          ? `+${rounded(found.governed.firstByteP50Ms - found.relay.firstByteP50Ms)} ms beside the relay`
          : `${rounded(found.governed.rate / found.relay.rate)} of the relay's rate, ${rounded(found.governed.rate / found.plain.rate)} of that without them`,
        owed: stream ? 'at most +10 ms' : clients === 1 ? 'relay + one flush + 0.3 ms' : 'at least 0.33',
        notes: `bare relay ${told(found.relay)}; errors ${found.governed.errors}`,
      });
    }
    return rows;
  });
}
