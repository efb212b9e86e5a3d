import { mayUseModel } from '../../core/access/allowed-models.ts';
import { callScopes } from '../../core/access/subject-levels.ts';
import type { InferenceRequest } from '../../core/bounds/inference-request.ts';
import { hasNoOutputLimit } from '../../core/bounds/media-bound.ts';
import { policyReadsBody } from '../../core/calls/call-policy.ts';
import { currencyOf } from '../../core/pricing/currency.ts';
import { dearest, MEDIA_RATES } from '../../core/pricing/rates.ts';
import { resolvePolicy, type PolicyRules } from '../../core/policy/resolve-policy.ts';
import type { Model, Policy, Upstream } from '../../core/records.ts';
import { dialectOf, dialectsOf } from '../../core/routing/dialects.ts';
import { describeFilteredOut, filterCandidates } from '../../core/routing/filter-candidates.ts';
import { isBlacklisted } from '../../core/routing/model-choices.ts';
import { effectiveSettings } from '../../core/routing/settings.ts';
import { boundSealed, tellingBytes } from '../../core/sealed/bound-sealed.ts';
import { enclaveUrlOf } from '../../core/sealed/enclaves.ts';
import { ENCLAVE_URL_HEADER, SEALED_MODEL_HEADER } from '../../core/sealed/protocol.ts';
import type { RequestBound } from '../../core/bounds/bound-request.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Directory } from '../directory.ts';
import type { SealedService } from '../directory/catalogue.ts';
import type { PlannedCandidate } from './call-plan.ts';
import type { CallRefusal, SealedCatalogue } from './call-types.ts';
import type { ModelWord } from './model-trust.ts';
import { refuseTenant } from './plan-call.ts';
import { readAhead, type ReadAhead } from './read-ahead.ts';
import { makePriceTables } from './route-call.ts';
import type { SealedCallRequest, SealedPlan } from './sealed-call.ts';

/** A body is read up to here before it is held; a longer one of unknown length is held for as long as it may be. */
export const MAX_AHEAD_BYTES = 262_144;

/** A plan, or why there is none. */
export type SealedPlanned = { readonly ok: true; readonly plan: SealedPlan } | { readonly ok: false; readonly refusal: CallRefusal };

/** Plans a sealed call, with the word of its key about its model. */
export type PlanSealed = (call: SealedCallRequest, word: Pick<ModelWord, 'isTaken'>) => Promise<SealedPlanned>;

/** What planning needs. */
export interface PlanSealedDeps {
  readonly catalogue: SealedCatalogue;
  readonly clock: Clock;
  readonly policies: Directory['policies'];
  /** The most that a body can have, sealed. */
  readonly maxSealedBytes: number;
}

/**
 * Plans a call whose body cannot be read: finds the upstream that it is sealed for, and bounds it by what can be seen. Touches no account, and
 * reads no more of the body than tells its length.
 *
 * Since the body may ask for any model of the upstream, whatever its caller says, what forbids one of them forbids the call. It is held for
 * the model that the caller names where its word is taken, else for the dearest.
 *
 * Refuses, in this order: `tenant_closed`, `tenant_suspended`; a level of the subject (`invalid`); an address that is not declared
 * (`invalid`, naming the header); a named model that is not served there (`model_not_found`); another API (`invalid`); a model that the key
 * may not call, or a policy that would have to read the body (`forbidden`); a model or media whose price or number nobody knows
 * (`model_unpriced`); filters of the project (`no_upstream_left`); no exchange rate for the balance (`model_unpriced`). Throws what reading throws.
 */
export function makePlanSealed(given: PlanSealedDeps): PlanSealed {
  const deps = { ...given, priceTable: makePriceTables() };
  const { catalogue, clock } = deps;
  return async (call, word) => {
    const { tenant, key } = call;
    const tenantRefusal = refuseTenant(call);
    if (tenantRefusal !== null) return refused(tenantRefusal);
    const scopes = callScopes(key, tenant.id, call.headers);
    if (!scopes.ok) return invalid(scopes.rejection.field ?? null, `${scopes.rejection.message}.`);
    const found = findService(catalogue, call);
    if (!found.ok) return found;
    const { service, named, offered } = found;
    const reading = deps.policies(tenant.id);
    const rules = reading instanceof Promise ? await reading : reading;
    const policy = policyOf(rules, scopes.value, clock.nowMs());
    const ceiling = ceilingOf(offered);
    const forbidden = refuseUnseen(call, { offered, ceiling }, policy);
    if (forbidden !== null) return refused(forbidden);
    const priced = pricedCandidates(deps, call, { upstream: service.upstream, offered });
    if (!priced.ok) return priced;
    const hasBalance = tenant.hasBalance === true;
    const rate = hasBalance ? catalogue.rate(currencyOf(tenant), clock.nowMs()) : null;
    if (hasBalance && rate === null) {
      const message = `Sealed calls have no price in ${currencyOf(tenant)}: no exchange rate applies.`;
      return refused({ kind: 'rejected', rejection: { code: 'model_unpriced', message } });
    }
    const isNamed = named !== null && word.isTaken;
    const held = isNamed ? priced.candidates.filter(({ model }) => model.id === named.id) : priced.candidates;
    const ahead = await aheadOf(call, held);
    const bound = boundOf(call, ceiling, { held, ahead, maxSealedBytes: deps.maxSealedBytes });
    const { first, all } = inOrder(priced.candidates, held, bound);
    const request = requestOf(call, first.model.id, bound);
    return {
      ok: true,
      plan: {
        model: first.model,
        bound,
        promptTokens: bound.inputTokens,
        sizedTokens: bound.inputTokens,
        tokenizer: null,
        request,
        candidates: all.map(({ candidate, model }) =>
          model === first.model ? candidate : { ...candidate, target: targetOf(model, bound) },
        ),
        pricedBy: call.onlyCounts ? [] : [first.candidate],
        softOutput: false,
        scopes: scopes.value,
        policy,
        routing: null,
        rate,
        unseenOutput: bound.outputPerChoice,
        enclaveUrl: service.enclaveUrl,
        prices: all.map(({ candidate, names }) => ({ names, price: candidate.price })),
        isNamed,
        onlyCounts: call.onlyCounts,
        ahead,
      },
    };
  };
}

const policyOf = (rules: PolicyRules, scopes: readonly string[], nowMs: number): Policy | null =>
  rules.ranked.length === 0 ? null : resolvePolicy(rules, scopes, nowMs);

/** A model of the upstream with its price there, and every name that the upstream may call it by. */
interface PricedModel {
  readonly model: Model;
  readonly candidate: PlannedCandidate;
  readonly names: readonly string[];
}

type Refused = { readonly ok: false; readonly refusal: CallRefusal };

const refused = (refusal: CallRefusal): Refused => ({ ok: false, refusal });
const invalid = (param: string | null, message: string): Refused =>
  refused({ kind: 'invalid', defect: { param, code: 'invalid_value', message } });

/** A model that a sealed body may ask for, and the upstream that it is declared at. */
interface OfferedModel {
  readonly model: Model;
  readonly upstream: Upstream;
}

/**
 * What a body may ask for at the enclave that a service is at: its own models, and those of other upstreams at the same address, since nobody
 * can see which it asks for. A model that several serve is the service's own.
 */
function offeredAt(service: SealedService, services: readonly SealedService[]): readonly OfferedModel[] {
  if (services.length === 1) return service.models.map((model) => ({ model, upstream: service.upstream }));
  const all = [service, ...services].flatMap(({ upstream, models }) => models.map((model) => ({ model, upstream })));
  return all.filter(({ model }, index) => all.findIndex((each) => each.model.id === model.id) === index);
}

/** The most output that may come, over the upstreams of what is offered; null where none of them declares it. */
function ceilingOf(offered: readonly OfferedModel[]): number | null {
  if (offered.every(({ upstream }) => (upstream.sealed?.maxOutputTokens ?? null) === null)) return null;
  return Math.max(...offered.map((each) => each.upstream.sealed?.maxOutputTokens ?? mostOutputOf(each)));
}

const mostOutputOf = ({ model, upstream }: OfferedModel): number =>
  model.upstreams.find(({ id }) => id === upstream.id)?.maxOutputTokens ?? model.maxOutputTokens;

/** The upstream that takes calls for the named address, the named model where there is one, and all that the body may ask for there. */
function findService(
  catalogue: SealedCatalogue,
  call: SealedCallRequest,
):
  | Refused
  | { readonly ok: true; readonly service: SealedService; readonly named: Model | null; readonly offered: readonly OfferedModel[] } {
  const services = catalogue.sealed(enclaveUrlOf(call.enclaveUrl));
  if (services.length === 0)
    return invalid(ENCLAVE_URL_HEADER, `${ENCLAVE_URL_HEADER} must be exactly the address of an enclave that this server relays to.`);
  const speaking = services.filter(({ upstream }) => dialectsOf(upstream).includes(dialectOf(call.kind)));
  if (speaking.length === 0)
    return invalid(ENCLAVE_URL_HEADER, 'The enclave that X-Tinfoil-Enclave-Url names does not speak the API that the call is made in.');
  const named = call.model === null ? null : catalogue.model(call.model);
  const serving = named === null ? speaking : speaking.filter(({ models }) => models.some(({ id }) => id === named?.id));
  const [service] = serving;
  if (named === undefined || service === undefined || (named !== null && !mayUseModel(call.key, named))) {
    const message = `The model ${JSON.stringify(call.model)} does not exist at this enclave, or you have no access to it.`;
    return refused({ kind: 'rejected', rejection: { code: 'model_not_found', message, field: SEALED_MODEL_HEADER } });
  }
  return { ok: true, service, named, offered: offeredAt(service, services) };
}

/** What only the body could show to be allowed. */
function refuseUnseen(
  call: SealedCallRequest,
  { offered, ceiling }: { readonly offered: readonly OfferedModel[]; readonly ceiling: number | null },
  policy: Policy | null,
): CallRefusal | null {
  const forbid = (message: string): CallRefusal => ({ kind: 'rejected', rejection: { code: 'forbidden', message } });
  const settings = call.tenant.projectSettings === undefined ? null : effectiveSettings(call.tenant.projectSettings, {});
  const isForbidden = offered.some(({ model }) => !mayUseModel(call.key, model) || isBlacklisted(model, settings));
  if (isForbidden)
    return forbid('a sealed body may ask for any model of its enclave, and some of them may not be called by this key or in this project');
  if (policyReadsBody(policy, ceiling ?? Math.max(0, ...offered.map(({ model }) => model.maxOutputTokens))))
    return forbid(`the policy ${policy?.name ?? ''} limits what a call may ask for, which cannot be seen in a sealed body`);
  return null;
}

/**
 * Every model that is offered with its price, all at the upstream that the call goes to; refused where one has none, or is priced by what nobody
 * can see, or is filtered out.
 */
function pricedCandidates(
  { catalogue, clock, priceTable }: PlanSealedDeps & { readonly priceTable: ReturnType<typeof makePriceTables> },
  call: SealedCallRequest,
  { upstream, offered }: { readonly upstream: Upstream; readonly offered: readonly OfferedModel[] },
): Refused | { readonly ok: true; readonly candidates: readonly PricedModel[] } {
  const settings = call.tenant.projectSettings === undefined ? null : effectiveSettings(call.tenant.projectSettings, {});
  const candidates: PricedModel[] = [];
  for (const { model, upstream: at } of offered) {
    const declared = model.upstreams.find(({ id }) => id === at.id);
    if (declared === undefined) continue;
    const { byUpstream } = priceTable(catalogue.prices(model.id), { modelId: model.id, nowMs: clock.nowMs() });
    const price = byUpstream.get(at.id) ?? byUpstream.get(null) ?? null;
    const unpriced = (message: string): Refused => refused({ kind: 'rejected', rejection: { code: 'model_unpriced', message } });
    if (price === null && !call.tenant.allowUnpriced)
      return unpriced(`The model ${model.id} of this enclave has no price, and this tenant does not allow calls without one.`);
    const isByMedia = price !== null && Object.values(MEDIA_RATES).some((rate) => (price.rates[rate] ?? 0n) > 0n);
    if (isByMedia && hasNoOutputLimit(call.kind))
      return unpriced(`The model ${model.id} of this enclave is priced by what a sealed body and its answer do not show.`);
    const { contextTokens, maxOutputTokens } = declared;
    const limits = {
      ...(contextTokens === undefined ? {} : { contextTokens }),
      ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    };
    const candidate = { upstream, upstreamModel: declared.model, weight: null, price, ...limits };
    const { filteredOut } = filterCandidates([candidate], {
      modelId: model.id,
      settings,
      promptTokens: null,
      outputTokens: null,
      contextTokens: null,
    });
    if (filteredOut.length > 0) {
      const message = `The enclave may not answer this call. ${describeFilteredOut(filteredOut)}`;
      return refused({ kind: 'rejected', rejection: { code: 'no_upstream_left', message } });
    }
    candidates.push({ model, candidate, names: [declared.model, model.id, ...(model.aliases ?? [])] });
  }
  return { ok: true, candidates };
}

const modelsOf = (held: readonly PricedModel[]) =>
  held.map(({ model, candidate: { contextTokens, maxOutputTokens } }) => ({
    model,
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
  }));

const NOTHING_AHEAD: ReadAhead = { pieces: [], bytes: 0, isWhole: false };

/** As much of a body of unknown length as tells the bound anything. */
const aheadOf = async (call: SealedCallRequest, held: readonly PricedModel[]): Promise<ReadAhead> =>
  call.ahead ??
  (call.bodyBytes !== null || call.onlyCounts
    ? NOTHING_AHEAD
    : readAhead(call.body, Math.min(MAX_AHEAD_BYTES, tellingBytes(call.kind, modelsOf(held)))));

const NO_TOKENS: RequestBound = { inputTokens: 0, choices: 0, outputPerChoice: 0, minOutputPerChoice: 0, sendLimitAs: null };

function boundOf(
  call: SealedCallRequest,
  ceiling: number | null,
  at: { readonly held: readonly PricedModel[]; readonly ahead: ReadAhead; readonly maxSealedBytes: number },
): RequestBound {
  if (call.onlyCounts) return NO_TOKENS;
  const sealedBytes = call.bodyBytes ?? (at.ahead.isWhole ? at.ahead.bytes : at.maxSealedBytes);
  return boundSealed({ kind: call.kind, sealedBytes, models: modelsOf(at.held), maxOutputTokens: ceiling });
}

/**
 * The ways in which a call may be priced, the one that it is held by first: the only model that it is held for, else rates that are nowhere
 * below those of any model, under the name of the one with the dearest output. That way stands for none of them, so it has no names.
 */
function inOrder(
  all: readonly PricedModel[],
  held: readonly PricedModel[],
  bound: RequestBound,
): { readonly first: PricedModel; readonly all: readonly PricedModel[] } {
  const [only, ...others] = held;
  if (only === undefined) throw new Error('an enclave without models is no service');
  if (others.length === 0) return { first: only, all: [only, ...all.filter(({ model }) => model !== only.model)] };
  const outputOf = ({ candidate: { price } }: PricedModel): bigint =>
    price === null ? -1n : bound.outputPerChoice === 0 ? price.rates.inputNanos : price.rates.outputNanos;
  const dear = held.reduce((best, next) => (outputOf(next) > outputOf(best) ? next : best));
  const rates = dearest(held.flatMap(({ candidate: { price } }) => (price === null ? [] : [price.rates])));
  const { price } = dear.candidate;
  const candidate = rates === null || price === null ? dear.candidate : { ...dear.candidate, price: { id: price.id, rates } };
  const first = { model: dear.model, candidate, names: [] };
  return { first, all: [first, ...all] };
}

const targetOf = (model: Model, bound: RequestBound): NonNullable<PlannedCandidate['target']> => ({
  model,
  bound,
  promptTokens: bound.inputTokens,
  sizedTokens: bound.inputTokens,
  tokenizer: null,
});

/** What stands in the place of a request that was read. */
const requestOf = ({ kind }: SealedCallRequest, model: string, bound: RequestBound): InferenceRequest => ({
  kind,
  body: {},
  model,
  stream: false,
  choices: bound.choices,
  outputLimit: bound.outputPerChoice,
});
