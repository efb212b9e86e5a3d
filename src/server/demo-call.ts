import { UPSTREAM_DEFAULTS } from '../core/access/defaults.ts';
import { boundRequest } from '../core/bounds/bound-request.ts';
import { readInferenceRequest } from '../core/bounds/inference-request.ts';
import { callLegs, outputRange } from '../core/calls/call-hold.ts';
import { invariant } from '../core/invariant.ts';
import { USD_MICROCENTS } from '../core/ledger/account.ts';
import { legAmount } from '../core/ledger/reserve.ts';
import { figuresOfRates, ratesFromPrice, type Rates } from '../core/pricing/rates.ts';
import type { Model, Price, Upstream } from '../core/records.ts';
import type { Tokenizer, Tokenizers } from '../ports/tokenizer.ts';
import { DEMO_MODEL_ID, DEMO_MODEL_LIMITS, DEMO_MODEL_PRICE } from '../upstreams/demo/demo-model.ts';

/** The upstream that answers inside this process. */
export const DEMO_UPSTREAM: Omit<Upstream, 'createdAtMs'> = {
  ...UPSTREAM_DEFAULTS,
  id: 'demo',
  kind: 'demo',
  baseUrl: '',
  apiKeySealed: null,
  provider: 'castellan',
};

/** The model of the demo upstream. */
export const DEMO_MODEL: Omit<Model, 'createdAtMs'> = {
  ...DEMO_MODEL_LIMITS,
  id: DEMO_MODEL_ID,
  upstreams: [{ id: DEMO_UPSTREAM.id, model: DEMO_MODEL_ID }],
};

/** The price of the demo model, wherever it is answered. */
export function demoPrice(): Omit<Price, 'id' | 'createdAtMs' | 'appliesFromMs'> {
  return { modelId: DEMO_MODEL_ID, upstreamId: null, ...figuresOfRates(demoRates()) };
}

function demoRates(): Rates {
  const result = ratesFromPrice(DEMO_MODEL_PRICE);
  invariant(result.ok, 'the demo price is no price');
  return result.rates;
}

/** The body of the printed call. Its own output limit is never lowered, so what one call leaves over does not pay a second. */
export const DEMO_BODY = {
  model: DEMO_MODEL_ID,
  messages: [{ role: 'user', content: 'Hello, who keeps the treasury?' }],
  max_tokens: 16,
} as const;

/** The tokenizer of the demo model, loaded once. */
export const loadDemoTokenizer = async (tokenizers: Tokenizers): Promise<Tokenizer | null> =>
  DEMO_MODEL.tokenizer === null ? null : tokenizers.load(DEMO_MODEL.tokenizer);

/**
 * What the printed call holds on a money account, in micro-cents: found by the code that bounds and prices every call of the gateway.
 * A budget of exactly this pays one call, and no second once the first has cost anything.
 */
export async function demoBudgetMicrocents(tokenizers: Tokenizers): Promise<bigint> {
  const read = readInferenceRequest('chat', DEMO_BODY);
  invariant(read.ok, 'the demo call is no valid request');
  const tokenizer = await loadDemoTokenizer(tokenizers);
  const bounded = boundRequest(read.request, DEMO_MODEL, tokenizer === null ? null : (text) => tokenizer.count(text));
  invariant(bounded.ok, 'the demo call cannot be bounded');
  const legs = callLegs({
    tenantId: 'demo',
    keyId: 'demo',
    scopes: ['tenant:demo'],
    inputTokens: bounded.bound.inputTokens,
    rates: demoRates(),
  });
  const money = legs.find(({ accountId }) => accountId.includes(`|${USD_MICROCENTS}|`));
  invariant(money !== undefined, 'a call holds on no money account');
  return legAmount(money, outputRange(bounded.bound).max);
}

/** The printed call: a complete `curl` against the data plane at `origin`. */
export function demoCurl(origin: string, demoKey: string): string {
  return [
    `curl -sS ${origin}/v1/chat/completions \\`,
    `  -H 'Authorization: Bearer ${demoKey}' \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d '${JSON.stringify(DEMO_BODY)}'`,
  ].join('\n');
}
