import { makePlanCall } from '../../src/app/calls/plan-call.ts';
import { makeUpstreamSpeeds } from '../../src/app/calls/upstream-speeds.ts';
import type { CallRequest } from '../../src/app/calls/call-types.ts';
import { INFERENCE_DEFAULTS, untouchedSettings, type InferenceSettings } from '../../src/core/routing/settings.ts';
import { GOOD_STANDING } from '../../src/core/routing/circuit.ts';
import { keyOf, priceOf, TENANT } from '../../test/support/gateway-harness.ts';
import type { Model, Price, Tenant, Upstream } from '../../src/core/records.ts';
import type { Row } from '../support/report.ts';
import { median, rounded } from '../support/stats.ts';

const UPSTREAMS = 50;

/** Twenty rules: ten providers, five models that are forbidden, and five settings beside them. */
const RULES: InferenceSettings = {
  ...INFERENCE_DEFAULTS,
  allowedProviders: Array.from({ length: 10 }, (_, index) => `provider-${index}`),
  blacklistedModels: Array.from({ length: 5 }, (_, index) => `forbidden-${index}`),
  euNative: true,
  allowQuantization: false,
  allowZeroDataRetention: true,
  preference: 'balanced',
  includeMetadata: true,
};

const upstreams = Array.from({ length: UPSTREAMS }, (_, index): Upstream => ({
  id: `u${index}`,
  kind: 'openai',
  baseUrl: 'http://127.0.0.1:9/v1',
  apiKeySealed: null,
  provider: `provider-${index % 10}`,
  region: 'fr',
  euNative: true,
  quantized: false,
  retentionDays: 0,
  continuousUsage: false,
  timeoutMs: null,
  createdAtMs: 0,
}));

const modelAt = (id: string, count: number): Model => ({
  id,
  upstreams: upstreams.slice(0, count).map((upstream) => ({ id: upstream.id, model: id })),
  contextTokens: 131_072,
  maxOutputTokens: 4096,
  defaultOutputTokens: 1024,
  outputLimitField: 'max_tokens',
  tokenizer: null,
  promptOverheadTokens: 16,
  marginPercent: 10,
  maxImageTokens: null,
  maxAudioTokens: null,
  maxFileTokens: null,
  tags: [],
  createdAtMs: 0,
});

const models = new Map([modelAt('many', UPSTREAMS), modelAt('one', 1)].map((model) => [model.id, model]));
const upstreamById = new Map(upstreams.map((upstream) => [upstream.id, upstream]));
const prices = new Map<string, Price[]>([
  ['one', [priceOf({ modelId: 'one' })]],
  [
    'many',
    upstreams.map(({ id }, index) => priceOf({ id: `p${index}`, modelId: 'many', upstreamId: id, outputNanos: 600 + ((index * 7) % 50) })),
  ],
]);

const tenant: Tenant = {
  id: TENANT,
  name: TENANT,
  status: 'ACTIVE',
  entitlements: {} as Tenant['entitlements'],
  requireBudget: false,
  allowUnpriced: false,
  hideAmounts: false,
  keyCount: 1,
  createdAtMs: 0,
};

const callOf = (model: string, settings: InferenceSettings | null): CallRequest => ({
  requestId: 'req',
  key: keyOf('k1', 'inference'),
  tenant: settings === null ? tenant : { ...tenant, projectSettings: { ...untouchedSettings(0), inference: settings } },
  kind: 'chat',
  route: '/chat/completions',
  body: Buffer.from(
    JSON.stringify({ model, max_tokens: 64, messages: [{ role: 'user', content: 'Say a few words about castles, please.' }] }),
  ),
  headers: {},
  sink: {} as CallRequest['sink'],
});

/** Microseconds to plan a call, through `count` plans. */
function time(plan: ReturnType<typeof makePlanCall>, call: CallRequest, count: number): number {
  const startedMs = performance.now();
  for (let index = 0; index < count; index++) {
    const planned = plan(call);
    if (planned instanceof Promise || !planned.ok) throw new Error('a call of the bench cannot be planned');
  }
  return ((performance.now() - startedMs) / count) * 1000;
}

/** Planning a call of a model with fifty upstreams under twenty rules, trace included, beside one of a model with one and none. */
export async function routing(options: { readonly rounds: number; readonly plans: number }): Promise<Row[]> {
  const clock = { nowMs: () => Date.now() };
  const speeds = makeUpstreamSpeeds({ clock });
  for (const [index, { id }] of upstreams.entries())
    speeds.note(id, 'many', { firstTokenMs: 100 + index, outputTokens: 100, outputMs: 1000 });
  const plan = makePlanCall({
    catalogue: {
      model: (name) => models.get(name),
      upstream: (id) => upstreamById.get(id),
      prices: (modelId) => prices.get(modelId) ?? [],
      rate: () => null,
    },
    tokenizers: { names: [], loaded: () => null, load: () => Promise.resolve(null) },
    records: { upstreamObjects: () => Promise.resolve([]) },
    clock,
    random: () => 0.5,
    health: { standing: () => GOOD_STANDING },
    speeds,
    policies: () => ({ ranked: [] }) as unknown as ReturnType<Parameters<typeof makePlanCall>[0]['policies']>,
  });
  const contenders = { one: callOf('one', null), many: callOf('many', null), ruled: callOf('many', RULES) };
  const taken: Record<keyof typeof contenders, number[]> = { one: [], many: [], ruled: [] };
  for (let round = 0; round <= options.rounds; round++) {
    for (const name of ['one', 'many', 'ruled'] as const) {
      const microseconds = time(plan, contenders[name], options.plans);
      if (round > 0) taken[name].push(microseconds);
    }
  }
  const [one, many, ruled] = [median(taken.one), median(taken.many), median(taken.ruled)];
  return [
    {
      what: `planning a call, ${UPSTREAMS} upstreams and 20 rules`,
      ours: `${rounded(ruled)} us`,
      baseline: `one upstream, no rules ${rounded(one)} us`,
      ratio: `+${rounded(ruled - one)} us`,
      owed: 'less than +50 us',
      notes: `${UPSTREAMS} upstreams without rules ${rounded(many)} us`,
    },
  ];
}
