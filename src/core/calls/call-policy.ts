import { boundRequest, type RequestBoundResult } from '../bounds/bound-request.ts';
import type { InferenceRequest } from '../bounds/inference-request.ts';
import { minuteLimits } from '../policy/minute-limits.ts';
import type { MinuteLimit, RateLimit } from '../policy/rate-window.ts';
import type { ApiKey, Model, Policy } from '../records.ts';
import type { Rejection } from '../rejection.ts';

/**
 * Bounds a call as the model and the policy of its scopes have it: the policy's `max_tokens` is a limit of output for each choice, sent
 * upstream where the caller set none. A limit that the caller sent is never lowered: one above the policy's is refused, naming it.
 */
export function boundUnderPolicy(
  request: InferenceRequest,
  model: Model,
  options: { readonly policy: Policy | null; readonly countTokens: ((text: string) => number) | null },
): RequestBoundResult {
  const { policy, countTokens } = options;
  const cap = policy?.caps?.maxTokens;
  if (cap === undefined || cap >= model.maxOutputTokens || request.kind === 'embeddings') return boundRequest(request, model, countTokens);
  if (policy !== null && request.outputLimit !== null && request.outputLimit > cap && request.outputLimit <= model.maxOutputTokens) {
    const message = `The output limit must be at most ${cap}: the policy ${policy.name} allows no more.`;
    return { ok: false, defect: { param: 'max_tokens', code: 'invalid_value', message } };
  }
  const capped = { ...model, maxOutputTokens: cap, defaultOutputTokens: Math.min(model.defaultOutputTokens, cap) };
  return boundRequest(request, capped, countTokens);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a tool of a request is called: a function's name, else what the tool names itself, else its type, such as `web_search`. */
function toolName(tool: unknown): string | null {
  if (!isObject(tool)) return null;
  const { function: called, name, type } = tool;
  if (isObject(called) && typeof called['name'] === 'string') return called['name'];
  if (typeof name === 'string') return name;
  return typeof type === 'string' ? type : null;
}

/** The tools that a request offers its model, in every form that the APIs have for them. */
function toolsOf({ body }: InferenceRequest): string[] {
  const { tools, functions } = body as { readonly tools?: unknown; readonly functions?: unknown };
  const listed = [...(Array.isArray(tools) ? (tools as unknown[]) : []), ...(Array.isArray(functions) ? (functions as unknown[]) : [])];
  return listed.flatMap((tool) => toolName(tool) ?? []);
}

/**
 * Refuses a request that offers a tool which the policy of its scopes does not allow: `forbidden`, or null. Where there is an allowlist,
 * the denylist is not looked at. Source: Cycles protocol, `Caps`.
 */
export function refuseTools(request: InferenceRequest, policy: Policy | null): Rejection | null {
  const allowed = policy?.caps?.toolAllowlist ?? [];
  const denied = policy?.caps?.toolDenylist ?? [];
  if (policy === null || (allowed.length === 0 && denied.length === 0)) return null;
  const refused = toolsOf(request).find((name) => (allowed.length > 0 ? !allowed.includes(name) : denied.includes(name)));
  if (refused === undefined) return null;
  const message = `the policy ${policy.name} does not allow the tool ${refused.slice(0, 100)}`;
  return { code: 'forbidden', message, field: 'tools', details: { policy_id: policy.id } };
}

/**
 * Whether a policy can only be kept by looking into the body: it names tools, or allows less output than the upstream of a sealed call gives
 * (`maxOutputTokens`).
 */
export function policyReadsBody(policy: Policy | null, maxOutputTokens: number): boolean {
  const { toolAllowlist = [], toolDenylist = [], maxTokens = Infinity } = policy?.caps ?? {};
  return toolAllowlist.length > 0 || toolDenylist.length > 0 || maxTokens < maxOutputTokens;
}

/** How long the hold of a call lasts at a time, in milliseconds: `ttlMs`, or what the policy of its scopes says. It is extended while the call lives. */
export function holdTtlMs(policy: Policy | null, ttlMs: number): number {
  const { defaultTtlMs = ttlMs, maxTtlMs = Infinity } = policy?.ttlOverride ?? {};
  return Math.min(defaultTtlMs, maxTtlMs);
}

/** The limits of requests and tokens that a call obeys: its key's, then those of the model that it asks for. */
export const callMinuteLimits = (key: ApiKey, model: Model): readonly MinuteLimit[] => [
  ...minuteLimits('key', key),
  ...minuteLimits('model', model),
];

/** How many calls a minute the policy allows for its scopes, beside reservations of the same; null where it says nothing. */
export function callRateLimit(policy: Policy | null): RateLimit | null {
  const perMinute = policy?.rateLimits?.maxReservationsPerMinute;
  return policy === null || perMinute === undefined ? null : { policyId: policy.id, kind: 'reserve', perMinute };
}
