import type { RequestBound } from '../../core/bounds/bound-request.ts';
import { boundUnderPolicy, refuseTools } from '../../core/calls/call-policy.ts';
import { resolvePolicy, type PolicyRules } from '../../core/policy/resolve-policy.ts';
import type { InferenceRequest, RequestDefect } from '../../core/bounds/inference-request.ts';
import { readForm } from '../../core/bounds/multipart-form.ts';
import { readRequest } from '../../core/bounds/read-request.ts';
import { JsonNumberError, inspectJson, parseJson } from '../../core/json/int64.ts';
import { currencyOf, type PinnedRate } from '../../core/pricing/currency.ts';
import type { Model, Policy, Tenant, Upstream } from '../../core/records.ts';
import { routeOf, type RouteCandidate } from '../../core/routing/candidates.ts';
import { orderByStanding, rankCandidates } from '../../core/routing/rank.ts';
import { mayUseModel } from '../../core/access/allowed-models.ts';
import { callScopes } from '../../core/access/subject-levels.ts';
import type { Rejection } from '../../core/rejection.ts';
import { dialectOf, dialectsOf } from '../../core/routing/dialects.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { Tokenizer, Tokenizers } from '../../ports/tokenizer.ts';
import type { CallCatalogue, CallRefusal, CallRequest } from './call-types.ts';
import { countWith } from './count-usage.ts';
import { hasReferences, makeResolveReferences } from './resolve-references.ts';
import type { Directory } from '../directory.ts';
import type { UpstreamHealth } from './upstream-health.ts';

/** What a call asks for, where it may go and what it may use at most: everything that its hold is made of. */
export interface CallPlan {
  readonly request: InferenceRequest;
  readonly model: Model;
  /** In the order of trial. */
  readonly candidates: readonly RouteCandidate[];
  readonly bound: RequestBound;
  /** The key is soft and the caller set no limit: none is sent upstream, and the hold is what the model's default would use. */
  readonly softOutput: boolean;
  /** The prompt's tokens without margin, for an estimate. */
  readonly promptTokens: number;
  readonly tokenizer: Tokenizer | null;
  /** The scopes that the call is spent in, the tenant's first, and the policy that they obey. */
  readonly scopes: readonly string[];
  readonly policy: Policy | null;
  /** By what the call takes from its tenant's prepaid balance; null where the tenant keeps none. */
  readonly rate: PinnedRate | null;
}

/** A plan, or why there is none. */
export type Planned = { readonly ok: true; readonly plan: CallPlan } | { readonly ok: false; readonly refusal: CallRefusal };

/**
 * Reads the body once, resolves the model and bounds the call. Touches no account.
 *
 * Refuses, in this order: `tenant_closed`, `tenant_suspended`; a header that names a level of the subject and breaks a rule of
 * {@link callScopes} (`invalid`); a body that is no JSON, holds forbidden keys or breaks a rule of the
 * request (`invalid`); `model_not_found` (also for one that the key may not call); `forbidden` (a tool that the policy of the call's
 * scopes does not allow); `not_found` and `invalid` for what it builds on
 * ({@link makeResolveReferences}); a model whose upstreams all speak another API (`invalid`); `model_unpriced`; a model that the upstream
 * which keeps it does not serve (`invalid`); an output limit above what the model can produce, or the policy allows (`invalid`); and fails with
 * `upstream_failed` where none of the model's upstreams exists any more.
 */
export function makePlanCall(deps: {
  readonly catalogue: CallCatalogue;
  readonly tokenizers: Tokenizers;
  readonly records: Pick<RecordStore, 'upstreamObjects'>;
  readonly clock: Clock;
  /** A number from [0, 1), a new one each time. */
  readonly random: () => number;
  readonly health: Pick<UpstreamHealth, 'standing'>;
  readonly policies: Directory['policies'];
}): (call: CallRequest) => Planned | Promise<Planned> {
  const { catalogue, tokenizers, clock, health } = deps;
  const resolveReferences = makeResolveReferences(deps);

  /** The upstream of that id, if it speaks the API that the call is made in. */
  const speakingUpstream = (call: CallRequest, id: string): Upstream | undefined => {
    const upstream = catalogue.upstream(id);
    return upstream !== undefined && dialectsOf(upstream).includes(dialectOf(call.kind)) ? upstream : undefined;
  };

  const finish = (call: CallRequest, asked: Asked, model: Model, tokenizer: Tokenizer | null): Planned => {
    const { request, upstreamId } = asked;
    const route = routeOf({
      model,
      upstreamOf: (id) => speakingUpstream(call, id),
      prices: catalogue.prices(model.id),
      allowUnpriced: call.tenant.allowUnpriced,
      nowMs: clock.nowMs(),
    });
    const isThere = model.upstreams.some(({ id }) => catalogue.upstream(id) !== undefined);
    if (route.kind === 'no_upstream' && isThere) return refused({ kind: 'invalid', defect: otherDialect(call, model) });
    if (route.kind === 'no_upstream') return refused({ kind: 'failed', code: 'upstream_failed', retryAfter: null });
    if (route.kind === 'unpriced') {
      const message = `The model ${model.id} has no price, and this tenant does not allow calls without one.`;
      return refused({ kind: 'rejected', rejection: { code: 'model_unpriced', message, field: 'model' } });
    }
    const rate = call.tenant.hasBalance === true ? catalogue.rate(currencyOf(call.tenant), clock.nowMs()) : null;
    if (rate === null && call.tenant.hasBalance === true) return refused(unrated(model, call.tenant));
    const usable = upstreamId === null ? route.candidates : route.candidates.filter(({ upstream }) => upstream.id === upstreamId);
    if (usable.length === 0) return notServed(model.id, request);
    const count = countWith(tokenizer);
    const { policy } = asked;
    const bounded = boundUnderPolicy(request, model, { policy, countTokens: count });
    if (!bounded.ok) return refused({ kind: 'invalid', defect: bounded.defect });
    const promptTokens = Math.min(bounded.promptTokens, bounded.bound.inputTokens);
    const candidates = orderByStanding(rankCandidates(usable, deps.random()), ({ upstream }) => health.standing(upstream));
    // What a policy allows is a limit for soft keys too.
    const isCapped = policy?.caps?.maxTokens !== undefined;
    const softOutput = call.key.outputBound === 'soft' && !isCapped && bounded.bound.sendLimitAs !== null;
    const bound = softOutput ? { ...bounded.bound, sendLimitAs: null } : bounded.bound;
    return {
      ok: true,
      plan: { request, model, candidates, bound, softOutput, promptTokens, tokenizer, scopes: asked.scopes, policy, rate },
    };
  };

  const tokenize = (call: CallRequest, asked: Asked, model: Model): Planned | Promise<Planned> => {
    const { tokenizer: name } = model;
    const loaded = name === null ? null : tokenizers.loaded(name);
    if (name === null || loaded !== null) return finish(call, asked, model, loaded);
    return tokenizers.load(name).then((tokenizer) => finish(call, asked, model, tokenizer));
  };

  const plan = (call: CallRequest, scopes: readonly string[], rules: PolicyRules): Planned | Promise<Planned> => {
    const read = readBody(call);
    if (!read.ok) return read;
    const model = catalogue.model(read.request.model);
    if (model === undefined || !mayUseModel(call.key, model)) {
      const message = `The model ${JSON.stringify(read.request.model)} does not exist, or you have no access to it.`;
      return refused({ kind: 'rejected', rejection: { code: 'model_not_found', message, field: 'model' } });
    }
    const { request } = read;
    const policy = rules.ranked.length === 0 ? null : resolvePolicy(rules, scopes, clock.nowMs());
    const refusedTool = refuseTools(request, policy);
    if (refusedTool !== null) return refused({ kind: 'rejected', rejection: refusedTool });
    if (!hasReferences(request)) return tokenize(call, { request, upstreamId: null, scopes, policy }, model);
    return resolveReferences(call, request).then((resolved) =>
      resolved.ok ? tokenize(call, { ...resolved, scopes, policy }, model) : refused(resolved.refusal),
    );
  };

  return (call) => {
    const tenantRefusal = refuseTenant(call);
    if (tenantRefusal !== null) return refused(tenantRefusal);
    const scopes = callScopes(call.key, call.tenant.id, call.headers);
    if (!scopes.ok) return refused({ kind: 'invalid', defect: headerDefect(scopes.rejection) });
    const rules = deps.policies(call.tenant.id);
    return rules instanceof Promise ? rules.then((read) => plan(call, scopes.value, read)) : plan(call, scopes.value, rules);
  };
}

/** A model costs nothing that a balance could pay where nobody has said what a USD is worth in its currency. */
function unrated(model: Model, tenant: Tenant): CallRefusal {
  const message = `The model ${model.id} has no price in ${currencyOf(tenant)}: no exchange rate applies.`;
  return { kind: 'rejected', rejection: { code: 'model_unpriced', message, field: 'model' } };
}

/** A request, and the one upstream that may answer it; null where any may. */
interface Asked {
  readonly request: InferenceRequest;
  readonly upstreamId: string | null;
  readonly scopes: readonly string[];
  readonly policy: Policy | null;
}

/** What is wrong with a header that fills a level of the subject. */
const headerDefect = ({ field, message }: Rejection): RequestDefect => ({
  param: field ?? null,
  code: 'invalid_value',
  message: `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
});

function notServed(modelId: string, { refers }: InferenceRequest): Planned {
  const param = (refers?.previousResponseId ?? null) === null ? 'input' : 'previous_response_id';
  const message = `What ${param} names lies at an upstream that does not serve the model ${modelId}.`;
  return refused({ kind: 'invalid', defect: { param, code: 'invalid_value', message } });
}

const refused = (refusal: CallRefusal): { readonly ok: false; readonly refusal: CallRefusal } => ({ ok: false, refusal });

/** Why a model is not served in the API of this call. */
function otherDialect(call: CallRequest, model: Model): RequestDefect {
  const served =
    dialectOf(call.kind) === 'anthropic' ? "OpenAI's API only, such as /v1/chat/completions" : "Anthropic's API only, at /v1/messages";
  return { param: 'model', code: 'invalid_value', message: `The model ${JSON.stringify(model.id)} is served in ${served}.` };
}

/** What a tenant's state refuses. The hold would refuse it too; asking first keeps refused calls cheap. */
export function refuseTenant({ tenant }: Pick<CallRequest, 'tenant'>): CallRefusal | null {
  if (tenant.status === 'CLOSED')
    return { kind: 'rejected', rejection: { code: 'tenant_closed', message: `the tenant ${tenant.id} is closed` } };
  if (tenant.status === 'SUSPENDED')
    return { kind: 'rejected', rejection: { code: 'tenant_suspended', message: `the tenant ${tenant.id} is suspended` } };
  return null;
}

/** Refuses what is no UTF-8, where a lenient decoder would change it in silence. */
const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true });

function readBody(
  call: CallRequest,
): { readonly ok: true; readonly request: InferenceRequest } | { readonly ok: false; readonly refusal: CallRefusal } {
  if (call.kind === 'transcriptions') return readFormBody(call);
  let body: unknown;
  try {
    body = parseJson(STRICT_UTF8.decode(call.body));
  } catch (error) {
    if (error instanceof JsonNumberError) {
      const message = 'A number in the body is beyond the range of numbers that can be kept.';
      return refused({ kind: 'invalid', defect: { param: error.key, code: 'invalid_value', message } });
    }
    return invalidBody(error instanceof TypeError ? 'The body is not valid UTF-8.' : 'The body is not valid JSON.');
  }
  const defect = inspectJson(body);
  if (defect?.kind === 'forbidden_key') return invalidBody(`The key ${defect.key} is not allowed in a body.`);
  if (defect?.kind === 'too_deep') return invalidBody('The body is nested too deeply.');
  const read = readRequest(call.kind, body);
  return read.ok ? read : refused({ kind: 'invalid', defect: read.defect });
}

function readFormBody(
  call: CallRequest,
): { readonly ok: true; readonly request: InferenceRequest } | { readonly ok: false; readonly refusal: CallRefusal } {
  const contentType = call.headers['content-type'];
  const result = readForm(call.body, typeof contentType === 'string' ? contentType : '');
  if (!result.ok) return refused({ kind: 'invalid', defect: result.defect });
  const read = readRequest(call.kind, result.fields);
  return read.ok ? { ok: true, request: { ...read.request, form: result.form } } : refused({ kind: 'invalid', defect: read.defect });
}

const invalidBody = (message: string): { readonly ok: false; readonly refusal: CallRefusal } =>
  refused({ kind: 'invalid', defect: { param: null, code: 'invalid_value', message } });
