import type { FastifyReply, FastifyRequest } from 'fastify';
import { mayUseModel } from '../../../core/access/allowed-models.ts';
import type { Catalogue } from '../../../app/directory/catalogue.ts';
import { stringifyJson } from '../../../core/json/int64.ts';
import { CURRENCY_RULE, currencyOf, isCurrency, type PinnedRate, USD_RATE } from '../../../core/pricing/currency.ts';
import type { Model } from '../../../core/records.ts';
import { isBlacklisted } from '../../../core/routing/model-choices.ts';
import { projectInference } from '../../../core/routing/settings.ts';
import type { Clock } from '../../../ports/clock.ts';
import { RefusedRequest } from '../../_shared/problem.ts';
import { queryText } from '../../_shared/query.ts';
import { errorOfRejection, sendError } from '../errors.ts';
import { modelObject } from '../model-object.ts';

/** What the list of models is made of. */
export type ModelCatalogue = Pick<Catalogue, 'model' | 'models' | 'prices' | 'upstream' | 'rate'>;

interface ModelsDeps {
  readonly catalogue: ModelCatalogue;
  readonly clock: Clock;
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => FastifyReply;

const sendJson = (reply: FastifyReply, value: unknown): FastifyReply =>
  reply.header('content-type', 'application/json; charset=utf-8').send(stringifyJson(value));

/** Whether the caller's key may call a model, and its project does not forbid it: else it is as unknown. */
function makeIsShown({ gatewayPrincipal: { key, tenant } }: FastifyRequest): (model: Model) => boolean {
  const settings = tenant.projectSettings === undefined ? null : projectInference(tenant.projectSettings);
  return (model) => mayUseModel(key, model) && !isBlacklisted(model, settings);
}

const wrongCurrency = (rule: string): RefusedRequest =>
  new RefusedRequest({ code: 'invalid_request', message: `currency must ${rule}`, field: 'currency' });

/**
 * The rate of the currency that prices are told in: the one that is asked for, else the tenant's, else, where no rate of that applies, USD.
 * Throws `invalid_request` for one that is asked for and is none, or has no rate.
 */
function readRate(request: FastifyRequest, { catalogue, clock }: ModelsDeps): PinnedRate {
  const asked = queryText(request, 'currency');
  const nowMs = clock.nowMs();
  if (asked === undefined) return catalogue.rate(currencyOf(request.gatewayPrincipal.tenant), nowMs) ?? USD_RATE;
  if (!isCurrency(asked)) throw wrongCurrency(CURRENCY_RULE);
  const rate = catalogue.rate(asked, nowMs);
  if (rate === null) throw wrongCurrency('be one that an exchange rate applies to');
  return rate;
}

/** Some clients write lists with brackets. */
const TAG = ['tag', 'tag[]'] as const;

/** The tags that a model must have, in lower case; none where none are asked for. */
const readTags = ({ query }: FastifyRequest): readonly string[] =>
  TAG.flatMap((name) => (query as Readonly<Record<string, string | string[] | undefined>>)[name] ?? []).map((tag) => tag.toLowerCase());

/** Makes what shows a model to the caller of a request, under any of its names. */
function makeShow(request: FastifyRequest, deps: ModelsDeps): (model: Model, name: string) => object {
  const { catalogue } = deps;
  const rate = readRate(request, deps);
  const nowMs = deps.clock.nowMs();
  const upstreamOf = catalogue.upstream;
  return (model, name) => modelObject(model, { prices: catalogue.prices(model.id), upstreamOf, rate, nowMs }, name);
}

/**
 * `GET /v1/models`: every model that the caller may call, under its id and then under each alias, in OpenAI's list form. `tag`, any number
 * of times and in any case, leaves those that have all of them. Refuses a `currency` that is unknown; other parameters change nothing.
 */
export const makeListModels =
  (deps: ModelsDeps): Handler =>
  (request, reply) => {
    const show = makeShow(request, deps);
    const isShown = makeIsShown(request);
    const tags = readTags(request);
    const hasTags = (model: Model): boolean => {
      const own = new Set(model.tags.map((tag) => tag.toLowerCase()));
      return tags.every((tag) => own.has(tag));
    };
    const shown = deps.catalogue.models().filter((model) => isShown(model) && hasTags(model));
    const data = shown.flatMap((model) => [model.id, ...(model.aliases ?? [])].map((name) => show(model, name)));
    return sendJson(reply, { object: 'list', data });
  };

/** `GET /v1/models/{id}`: one model, by its id or an alias, with `currency` as in the list. Ids may hold slashes, so everything behind the prefix is the id. */
export const makeGetModel =
  (deps: ModelsDeps): Handler =>
  (request, reply) => {
    const id = (request.params as { readonly '*': string })['*'];
    const show = makeShow(request, deps);
    const model = deps.catalogue.model(id);
    if (model !== undefined && makeIsShown(request)(model)) return sendJson(reply, show(model, id));
    const rejection = {
      code: 'model_not_found',
      message: `The model ${JSON.stringify(id)} does not exist, or you have no access to it.`,
      field: 'model',
    } as const;
    return sendError(reply, errorOfRejection(rejection, { hideAmounts: true, nowMs: deps.clock.nowMs() }));
  };
