import { refuseTools } from '../../core/calls/call-policy.ts';
import { resolvePolicy, type PolicyRules } from '../../core/policy/resolve-policy.ts';
import type { InferenceRequest, RequestDefect } from '../../core/bounds/inference-request.ts';
import { readForm } from '../../core/bounds/multipart-form.ts';
import { readRequest } from '../../core/bounds/read-request.ts';
import { JsonNumberError, inspectJson, parseJson } from '../../core/json/int64.ts';
import { currencyOf } from '../../core/pricing/currency.ts';
import type { Model, Tenant } from '../../core/records.ts';
import { fallbackModels, isBlacklisted } from '../../core/routing/model-choices.ts';
import { rankingPreference, takeFormSettings, takeRequestedSettings } from '../../core/routing/requested-settings.ts';
import { effectiveSettings } from '../../core/routing/settings.ts';
import { mayUseModel } from '../../core/access/allowed-models.ts';
import { callScopes } from '../../core/access/subject-levels.ts';
import type { Rejection } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { Tokenizer, Tokenizers } from '../../ports/tokenizer.ts';
import type { CallCatalogue, CallRefusal, CallRequest } from './call-types.ts';
import type { CallPlan } from './call-plan.ts';
import { hasReferences, makeResolveReferences } from './resolve-references.ts';
import { makeRouteCall, type RoutableCall } from './route-call.ts';
import type { Directory } from '../directory.ts';
import type { UpstreamHealth } from './upstream-health.ts';
import type { UpstreamSpeeds } from './upstream-speeds.ts';

/** A plan, or why there is none. */
export type Planned = { readonly ok: true; readonly plan: CallPlan } | { readonly ok: false; readonly refusal: CallRefusal };

/**
 * Reads the body once, resolves the model and bounds the call. Touches no account.
 *
 * Refuses, in this order: `tenant_closed`, `tenant_suspended`; a header that names a level of the subject and breaks a rule of
 * {@link callScopes} (`invalid`); a body that is no JSON, holds forbidden keys or breaks a rule of the
 * request, or asks the router for what is no setting (`invalid`); `model_not_found` (also for one that the key may not call, or its project
 * forbids); `forbidden` (a tool that the policy of the call's
 * scopes does not allow); `not_found` and `invalid` for what it builds on
 * ({@link makeResolveReferences}); a model whose upstreams all speak another API (`invalid`); `model_unpriced`; a model that the upstream
 * which keeps it does not serve (`invalid`); an output limit above what the model can produce, or the policy allows (`invalid`);
 * `no_upstream_left` ({@link makeRouteCall}); and fails with `upstream_failed` where none of the model's upstreams exists any more.
 */
export function makePlanCall(deps: {
  readonly catalogue: CallCatalogue;
  readonly tokenizers: Tokenizers;
  readonly records: Pick<RecordStore, 'upstreamObjects'>;
  readonly clock: Clock;
  /** A number from [0, 1), a new one each time. */
  readonly random: () => number;
  readonly health: Pick<UpstreamHealth, 'standing'>;
  readonly speeds: Pick<UpstreamSpeeds, 'speedsOf'>;
  readonly policies: Directory['policies'];
}): (call: CallRequest) => Planned | Promise<Planned> {
  const { catalogue, tokenizers, clock } = deps;
  const resolveReferences = makeResolveReferences(deps);
  const routeCall = makeRouteCall(deps);

  const finish = (call: CallRequest, asked: Asked, tokenizers: readonly (Tokenizer | null)[]): Planned => {
    const { request, policy, models } = asked;
    const routable = { ...asked, models: models.map((model, index) => ({ model, tokenizer: tokenizers[index] ?? null })) };
    const routed = routeCall(call, routable);
    if (!routed.ok) return routed;
    const { target, candidates, routing } = routed;
    const hasBalance = call.tenant.hasBalance === true;
    const rate = hasBalance ? catalogue.rate(currencyOf(call.tenant), clock.nowMs()) : null;
    if (hasBalance && rate === null) return refused(unrated(target.model, call.tenant));
    // What a policy allows is a limit for soft keys too.
    const isCapped = policy?.caps?.maxTokens !== undefined;
    const softOutput = call.key.outputBound === 'soft' && !isCapped && target.bound.sendLimitAs !== null;
    const bound = softOutput ? { ...target.bound, sendLimitAs: null } : target.bound;
    return { ok: true, plan: { ...target, request, candidates, bound, softOutput, scopes: asked.scopes, policy, routing, rate } };
  };

  const tokenize = (call: CallRequest, asked: Asked): Planned | Promise<Planned> => {
    const loaded = asked.models.map(({ tokenizer: name }) => (name === null ? null : tokenizers.loaded(name)));
    if (asked.models.every(({ tokenizer: name }, index) => name === null || loaded[index] !== null)) return finish(call, asked, loaded);
    const loading = asked.models.map(async ({ tokenizer: name }) => (name === null ? null : tokenizers.load(name)));
    return Promise.all(loading).then((ready) => finish(call, asked, ready));
  };

  const plan = (call: CallRequest, scopes: readonly string[], rules: PolicyRules): Planned | Promise<Planned> => {
    const read = readBody(call);
    if (!read.ok) return read;
    const taken = takeSettings(read.request);
    if (!taken.ok) return refused({ kind: 'invalid', defect: defectOf(taken.rejection) });
    const request = { ...read.request, body: taken.value.body };
    const { requested } = taken.value;
    const { projectSettings: project } = call.tenant;
    const settings = project === undefined && requested === null ? null : effectiveSettings(project, requested ?? {});
    const model = catalogue.model(request.model);
    if (model === undefined || !mayUseModel(call.key, model) || isBlacklisted(model, settings)) {
      const message = `The model ${JSON.stringify(request.model)} does not exist, or you have no access to it.`;
      return refused({ kind: 'rejected', rejection: { code: 'model_not_found', message, field: 'model' } });
    }
    const policy = rules.ranked.length === 0 ? null : resolvePolicy(rules, scopes, clock.nowMs());
    const refusedTool = refuseTools(request, policy);
    if (refusedTool !== null) return refused({ kind: 'rejected', rejection: refusedTool });
    const { models: others, filteredOut: passedOver } = fallbackModels({
      asked: model,
      settings,
      modelOf: (name) => catalogue.model(name),
      mayUse: (other) => mayUseModel(call.key, other),
    });
    const preference = rankingPreference(project, requested);
    const asked = { request, models: [model, ...others], upstreamId: null, scopes, policy, settings, preference, passedOver };
    if (!hasReferences(request)) return tokenize(call, asked);
    return resolveReferences(call, request).then((resolved) =>
      resolved.ok ? tokenize(call, { ...asked, request: resolved.request, upstreamId: resolved.upstreamId }) : refused(resolved.refusal),
    );
  };

  return (call) => {
    const tenantRefusal = refuseTenant(call);
    if (tenantRefusal !== null) return refused(tenantRefusal);
    const scopes = callScopes(call.key, call.tenant.id, call.headers);
    if (!scopes.ok) return refused({ kind: 'invalid', defect: defectOf(scopes.rejection) });
    const rules = deps.policies(call.tenant.id);
    return rules instanceof Promise ? rules.then((read) => plan(call, scopes.value, read)) : plan(call, scopes.value, rules);
  };
}

/** A model costs nothing that a balance could pay where nobody has said what a USD is worth in its currency. */
function unrated(model: Model, tenant: Tenant): CallRefusal {
  const message = `The model ${model.id} has no price in ${currencyOf(tenant)}: no exchange rate applies.`;
  return { kind: 'rejected', rejection: { code: 'model_unpriced', message, field: 'model' } };
}

/** What a call asks for, before its models are bounded: what routing needs, but for their tokenizers. */
interface Asked extends Omit<RoutableCall, 'models'> {
  readonly models: readonly Model[];
  readonly scopes: readonly string[];
}

/** The request's fields that are the router's: they say where it goes, and go nowhere themselves. */
const takeSettings = ({ body, form }: InferenceRequest): ReturnType<typeof takeRequestedSettings> =>
  form === undefined ? takeRequestedSettings(body) : takeFormSettings(body);

/** What is wrong with a header that fills a level of the subject, or with a field for the router; the field's name stays as it is written. */
const defectOf = ({ field, message }: Rejection): RequestDefect => {
  const isName = field !== undefined && message.startsWith(field);
  return {
    param: field ?? null,
    code: 'invalid_value',
    message: `${isName ? message.charAt(0) : message.charAt(0).toUpperCase()}${message.slice(1)}.`,
  };
};

const refused = (refusal: CallRefusal): { readonly ok: false; readonly refusal: CallRefusal } => ({ ok: false, refusal });

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
