import type { InferenceKind, InferenceRequest, RequestDefect } from '../../core/bounds/inference-request.ts';
import { hasManyPrompts, hasNoOutputLimit } from '../../core/bounds/media-bound.ts';
import type { RequestBound } from '../../core/bounds/bound-request.ts';
import { widestBound } from '../../core/bounds/widest-bound.ts';
import { boundUnderPolicy } from '../../core/calls/call-policy.ts';
import type { Model, Policy, Price, Upstream } from '../../core/records.ts';
import { priceTableOf, routeOf, type PriceTable, type Route, type RouteCandidate } from '../../core/routing/candidates.ts';
import { dialectOf, dialectsOf } from '../../core/routing/dialects.ts';
import { describeFilteredOut, filterCandidates, type FilteredOut, type FilterName } from '../../core/routing/filter-candidates.ts';
import { rankByPreference } from '../../core/routing/rank-by-preference.ts';
import { orderByStanding, rankCandidates } from '../../core/routing/rank.ts';
import type { InferenceSettings, Preference } from '../../core/routing/settings.ts';
import { appliedFilters, type RoutingTrace, type TracedCandidate } from '../../core/routing/trace.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Tokenizer } from '../../ports/tokenizer.ts';
import type { CallTarget, PlannedCandidate } from './call-plan.ts';
import type { CallCatalogue, CallRefusal, CallRequest } from './call-types.ts';
import { countWith } from './count-usage.ts';
import type { UpstreamHealth } from './upstream-health.ts';
import type { UpstreamSpeeds } from './upstream-speeds.ts';

/** A call whose models are known: the one that it asks for, then those that may answer in its place. */
export interface RoutableCall {
  readonly request: InferenceRequest;
  readonly models: readonly { readonly model: Model; readonly tokenizer: Tokenizer | null }[];
  /** The one upstream that may answer it; null where any may. */
  readonly upstreamId: string | null;
  readonly policy: Policy | null;
  /** What holds for it; null where neither its project nor it has set anything. */
  readonly settings: InferenceSettings | null;
  /** What its upstreams are ranked for; null: their weights. */
  readonly preference: Preference | null;
  /** Models that were passed over. */
  readonly passedOver: readonly FilteredOut[];
}

/** Where a call goes, in the order of trial. `target` is the asked model, with a bound that covers every candidate. */
export interface Routed {
  readonly ok: true;
  readonly target: CallTarget;
  readonly candidates: readonly PlannedCandidate[];
  /** How they were chosen, where the caller wants to see it: put together only when the answer has come. */
  readonly routing: (() => RoutingTrace) | null;
}

/** What routing needs. `random` gives a number from [0, 1), a new one each time. */
export interface RouteCallDeps {
  readonly catalogue: CallCatalogue;
  readonly clock: Clock;
  readonly random: () => number;
  readonly health: Pick<UpstreamHealth, 'standing'>;
  readonly speeds: Pick<UpstreamSpeeds, 'speedsOf'>;
}

type Refused = { readonly ok: false; readonly refusal: CallRefusal };

/**
 * Finds the upstreams that may answer a call and puts them into the order of trial: those of the asked model, then those of each model
 * that may answer in its place. Among the upstreams of a model the preference ranks them, or their weights where nobody has said one; and
 * behind all that are in good standing come, whatever their model, those that rest and those whose circuit is open.
 *
 * Refuses, in this order: a bound that the asked model does not allow (`invalid`); where no model has an upstream left, what is wrong with
 * the asked one (no upstream any more, another API, `model_unpriced`, what the call builds on lies elsewhere), or `no_upstream_left` where
 * filters took the last one.
 */
export function makeRouteCall(deps: RouteCallDeps): (call: CallRequest, routable: RoutableCall) => Routed | Refused {
  const { health } = deps;
  const modelDeps = { ...deps, priceTable: makePriceTables() };
  return (call, routable) => {
    const [asked, ...others] = routable.models.map(({ model, tokenizer }) => routeModel(modelDeps, { call, routable, model, tokenizer }));
    if (asked === undefined) throw new Error('a call asks for a model');
    if (asked.target === null) return refused(asked.refusal ?? FAILED);
    const ranked = [asked, ...others].filter(({ target, ranked: left }) => target !== null && left.length > 0);
    if (ranked.length === 0) return refused(asked.refusal ?? noneLeft(routable, [asked, ...others]));
    const all = others.length === 0 ? asked.ranked : ranked.flatMap(withTargets);
    const candidates = orderByStanding(
      all.map(({ candidate }) => candidate),
      ({ upstream }) => health.standing(upstream),
    );
    const bound = others.length === 0 ? asked.target.bound : widestOf(ranked, asked.target.bound);
    const routing = routable.settings?.includeMetadata === true ? () => traceOf(routable, [asked, ...others], { all, candidates }) : null;
    return { ok: true, target: { ...asked.target, bound }, candidates, routing };
  };
}

/** The candidates of a model, each with it: several may answer. */
const withTargets = ({ target, ranked }: ModelRoute): readonly RankedCandidate[] =>
  target === null ? [] : ranked.map(({ candidate, ...score }) => ({ candidate: { ...candidate, target }, ...score }));

function widestOf(routes: readonly ModelRoute[], asked: RequestBound): RequestBound {
  const [first = asked, ...others] = routes.flatMap(({ target }) => target?.bound ?? []);
  return widestBound([first, ...others]);
}

/** Tables of prices, each made once for as long as it holds: the catalogue gives the same list of prices to every call. */
export function makePriceTables(): (prices: readonly Price[], at: { readonly modelId: string; readonly nowMs: number }) => PriceTable {
  const known = new WeakMap<readonly Price[], PriceTable>();
  return (prices, at) => {
    const before = known.get(prices);
    if (before?.modelId === at.modelId && before.fromMs <= at.nowMs && at.nowMs < before.untilMs) return before;
    const table = priceTableOf(prices, at);
    known.set(prices, table);
    return table;
  };
}

type ModelDeps = RouteCallDeps & { readonly priceTable: ReturnType<typeof makePriceTables> };

/** One candidate with what it was ranked by. */
interface RankedCandidate {
  readonly candidate: PlannedCandidate;
  readonly score: number;
  readonly costNanoUsd: number | null;
  readonly timeMs: number | null;
}

/** What came of one model: `target` is null where the call cannot be bounded for it, `refusal` what is wrong but for filters. */
interface ModelRoute {
  readonly target: CallTarget | null;
  readonly ranked: readonly RankedCandidate[];
  readonly filteredOut: readonly FilteredOut[];
  readonly initial: readonly TracedCandidate[];
  readonly refusal: CallRefusal | null;
}

interface ModelOptions {
  readonly call: CallRequest;
  readonly routable: RoutableCall;
  readonly model: Model;
  readonly tokenizer: Tokenizer | null;
}

function routeModel(deps: ModelDeps, options: ModelOptions): ModelRoute {
  const { catalogue } = deps;
  const { call, routable, model, tokenizer } = options;
  const { request, policy, settings, upstreamId } = routable;
  const route = routeOf({
    model,
    upstreamOf: (id) => speakingUpstream(catalogue, call, id),
    prices: deps.priceTable(catalogue.prices(model.id), { modelId: model.id, nowMs: deps.clock.nowMs() }),
    allowUnpriced: call.tenant.allowUnpriced,
  });
  const priced = route.kind === 'candidates' ? route.candidates : [];
  const usable = upstreamId === null ? priced : priced.filter(({ upstream }) => upstream.id === upstreamId);
  const initial = settings === null ? [] : tracedUpstreams(catalogue, model);
  // What no setting took out is told only where somebody asked for settings: otherwise the refusal below says it all.
  const unfit = settings === null ? [] : unfitUpstreams(catalogue, options, { initial, priced, usable });
  const none = { ranked: [], initial };
  const bounded = boundUnderPolicy(request, model, { policy, countTokens: countWith(tokenizer) });
  if (!bounded.ok) {
    // A model that has no upstream for the call is told of before what the call asks of it.
    const refusal = refuseRoute(deps, options, route, usable) ?? { kind: 'invalid', defect: bounded.defect };
    const filteredOut = usable.map((candidate) => takenOut(candidate, model, { filter: 'output_limit', reason: bounded.defect.message }));
    return { ...none, target: null, filteredOut: [...unfit, ...filteredOut], refusal };
  }
  const promptTokens = Math.min(bounded.promptTokens, bounded.bound.inputTokens);
  const sizedTokens = Math.min(bounded.sizedTokens, promptTokens);
  const target = { model, bound: bounded.bound, promptTokens, sizedTokens, tokenizer };
  const refusal = refuseRoute(deps, options, route, usable);
  if (refusal !== null) return { ...none, target, filteredOut: unfit, refusal };
  const { left, filteredOut } = filterCandidates(usable, {
    modelId: model.id,
    settings,
    promptTokens: hasOnePrompt(request.kind) ? sizedTokens : null,
    outputTokens: request.outputLimit,
    contextTokens: routable.models.length > 1 ? model.contextTokens : null,
  });
  return { target, ranked: rank(deps, routable, target, left), filteredOut: [...unfit, ...filteredOut], initial, refusal: null };
}

/** Whether the tokens of a request are one prompt that a context must hold. */
const hasOnePrompt = (kind: InferenceKind): boolean => !hasManyPrompts(kind) && !hasNoOutputLimit(kind) && kind !== 'count_tokens';

function rank(
  deps: RouteCallDeps,
  routable: RoutableCall,
  target: CallTarget,
  left: readonly RouteCandidate[],
): readonly RankedCandidate[] {
  const { preference, request } = routable;
  if (preference === null) {
    return rankCandidates(left, deps.random()).map((candidate) => ({
      candidate,
      score: candidate.weight ?? 1,
      costNanoUsd: null,
      timeMs: null,
    }));
  }
  const { bound, promptTokens, model } = target;
  const { media } = bound;
  const speedOf = deps.speeds.speedsOf(model.id);
  return rankByPreference(left, {
    preference,
    estimate: {
      promptTokens,
      outputTokens: hasNoOutputLimit(request.kind) ? 0 : bound.choices * bound.outputPerChoice,
      media: media === undefined ? null : { unit: media.unit, quantity: media.likely },
    },
    speedOf: ({ upstream }) => speedOf(upstream.id),
  });
}

/** The upstream of that id, if it takes plain calls and speaks the API that the call is made in. */
function speakingUpstream(catalogue: CallCatalogue, call: CallRequest, id: string): Upstream | undefined {
  const upstream = catalogue.upstream(id);
  if (upstream === undefined || isSealed(upstream)) return undefined;
  return dialectsOf(upstream).includes(dialectOf(call.kind)) ? upstream : undefined;
}

const isSealed = ({ sealed = null }: Upstream): boolean => sealed !== null;

const tracedUpstreams = (catalogue: CallCatalogue, model: Model): readonly TracedCandidate[] =>
  model.upstreams.flatMap(({ id }) => {
    const upstream = catalogue.upstream(id);
    return upstream === undefined ? [] : { upstreamId: id, provider: upstream.provider, modelId: model.id };
  });

const takenOut = (
  { upstream }: RouteCandidate,
  model: Model,
  verdict: { readonly filter: FilterName; readonly reason: string },
): FilteredOut => ({ upstreamId: upstream.id, provider: upstream.provider, modelId: model.id, ...verdict });

/** The upstreams of a model that cannot answer the call whatever is set. */
function unfitUpstreams(
  catalogue: CallCatalogue,
  { call }: ModelOptions,
  at: {
    readonly initial: readonly TracedCandidate[];
    readonly priced: readonly RouteCandidate[];
    readonly usable: readonly RouteCandidate[];
  },
): readonly FilteredOut[] {
  if (at.usable.length === at.initial.length) return [];
  const usable = new Set(at.usable.map(({ upstream }) => upstream.id));
  const priced = new Set(at.priced.map(({ upstream }) => upstream.id));
  return at.initial.flatMap((traced): FilteredOut[] => {
    const { upstreamId } = traced;
    if (usable.has(upstreamId)) return [];
    if (priced.has(upstreamId)) return [{ ...traced, filter: 'reference', reason: 'What the call builds on lies at another upstream.' }];
    const upstream = catalogue.upstream(upstreamId);
    if (upstream !== undefined && isSealed(upstream))
      return [{ ...traced, filter: 'api', reason: 'It takes calls whose bodies are sealed for it, and no others.' }];
    if (speakingUpstream(catalogue, call, upstreamId) === undefined)
      return [{ ...traced, filter: 'api', reason: 'It does not speak the API that the call is made in.' }];
    return [{ ...traced, filter: 'price', reason: 'It has no price for this model.' }];
  });
}

/** What is wrong with a model that has no upstream for the call, filters apart; null where it has one. */
function refuseRoute(
  deps: RouteCallDeps,
  { call, routable, model }: ModelOptions,
  route: Route,
  usable: readonly RouteCandidate[],
): CallRefusal | null {
  if (route.kind === 'no_upstream') {
    const there = model.upstreams.flatMap(({ id }) => deps.catalogue.upstream(id) ?? []);
    if (there.length > 0 && there.every(isSealed)) return { kind: 'invalid', defect: onlySealed(model) };
    return there.length > 0 ? { kind: 'invalid', defect: otherDialect(call, model) } : FAILED;
  }
  if (route.kind === 'unpriced') {
    const message = `The model ${model.id} has no price, and this tenant does not allow calls without one.`;
    return { kind: 'rejected', rejection: { code: 'model_unpriced', message, field: 'model' } };
  }
  return usable.length === 0 ? notServed(model.id, routable.request) : null;
}

const FAILED: CallRefusal = { kind: 'failed', code: 'upstream_failed', retryAfter: null };

const refused = (refusal: CallRefusal): Refused => ({ ok: false, refusal });

function noneLeft({ passedOver }: RoutableCall, routes: readonly ModelRoute[]): CallRefusal {
  const filteredOut = [...routes.flatMap((route) => route.filteredOut), ...passedOver];
  const message = `No upstream is left that may answer this call. ${describeFilteredOut(filteredOut)}`;
  return { kind: 'rejected', rejection: { code: 'no_upstream_left', message, field: 'model' } };
}

function traceOf(
  { settings, preference, passedOver, models }: RoutableCall,
  routes: readonly ModelRoute[],
  order: { readonly all: readonly RankedCandidate[]; readonly candidates: readonly PlannedCandidate[] },
): RoutingTrace {
  const rankedBy = new Map(order.all.map((ranked) => [ranked.candidate, ranked]));
  const askedId = models[0]?.model.id ?? '';
  return {
    appliedFilters: appliedFilters(settings),
    initial: routes.flatMap(({ initial }) => initial),
    filteredOut: [...routes.flatMap(({ filteredOut }) => filteredOut), ...passedOver],
    scored: order.candidates.map((candidate) => {
      const { score = 0, costNanoUsd = null, timeMs = null } = rankedBy.get(candidate) ?? {};
      const { id: upstreamId, provider } = candidate.upstream;
      const modelId = candidate.target?.model.id ?? askedId;
      return { upstreamId, provider, modelId, score: Number.isFinite(score) ? score : null, costNanoUsd, timeMs };
    }),
    preference,
  };
}

function notServed(modelId: string, { refers }: InferenceRequest): CallRefusal {
  const param = (refers?.previousResponseId ?? null) === null ? 'input' : 'previous_response_id';
  const message = `What ${param} names lies at an upstream that does not serve the model ${modelId}.`;
  return { kind: 'invalid', defect: { param, code: 'invalid_value', message } };
}

const onlySealed = ({ id }: Model): RequestDefect => ({
  param: 'model',
  code: 'invalid_value',
  message: `The model ${JSON.stringify(id)} takes calls only whose bodies are sealed for its enclave, which X-Tinfoil-Enclave-Url names.`,
});

/** Why a model is not served in the API of this call. */
function otherDialect(call: CallRequest, model: Model): RequestDefect {
  const served =
    dialectOf(call.kind) === 'anthropic' ? "OpenAI's API only, such as /v1/chat/completions" : "Anthropic's API only, at /v1/messages";
  return { param: 'model', code: 'invalid_value', message: `The model ${JSON.stringify(model.id)} is served in ${served}.` };
}
