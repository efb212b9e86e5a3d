import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Catalogue } from '../../../app/directory/catalogue.ts';
import { mayUseModel } from '../../../core/access/allowed-models.ts';
import { stringifyJson } from '../../../core/json/int64.ts';
import type { Model } from '../../../core/records.ts';
import { dialectsOf } from '../../../core/routing/dialects.ts';
import { isBlacklisted } from '../../../core/routing/model-choices.ts';
import { projectInference } from '../../../core/routing/settings.ts';
import { RefusedRequest } from '../../_shared/problem.ts';
import { queryText, queryWhole, refuseUnknownQuery } from '../../_shared/query.ts';
import { modelInfo, pageOfModels, type WantedModels } from '../model-info.ts';

/** What the list of models is made of. */
export type MessagesCatalogue = Pick<Catalogue, 'model' | 'models' | 'upstream'>;

type Handler = (request: FastifyRequest, reply: FastifyReply) => FastifyReply;

/** Items of a page: at most, and where a query names no number. Source: Anthropic API reference, List Models. */
const MAX_PAGE_SIZE = 1000;
const DEFAULT_PAGE_SIZE = 20;
const LIFECYCLE = ['lifecycle', 'lifecycle[]'] as const;
const LIFECYCLES: readonly unknown[] = ['active', 'deprecated', 'retired'];

/** Whether the key may call the model, its project does not forbid it, and any of its upstreams speaks Anthropic's API. */
const isServed = ({ messagesPrincipal: { key, tenant } }: FastifyRequest, model: Model, catalogue: MessagesCatalogue): boolean =>
  mayUseModel(key, model) &&
  !isBlacklisted(model, tenant.projectSettings === undefined ? null : projectInference(tenant.projectSettings)) &&
  model.upstreams.some(({ id }) => {
    const upstream = catalogue.upstream(id);
    return upstream !== undefined && dialectsOf(upstream).includes('anthropic');
  });

const send = (reply: FastifyReply, value: unknown): FastifyReply =>
  reply
    .header('content-type', 'application/json; charset=utf-8')
    .header('x-request-id', reply.request.id)
    .header('request-id', reply.request.id)
    .send(stringifyJson(value));

const invalid = (field: string, rule: string): RefusedRequest =>
  new RefusedRequest({ code: 'invalid_request', message: `${field} must ${rule}`, field });

/** The lifecycles that are asked for; null where all are. */
function readLifecycles({ query }: FastifyRequest): readonly unknown[] | null {
  const values = LIFECYCLE.flatMap((name) => (query as Readonly<Record<string, string | string[] | undefined>>)[name] ?? []);
  if (values.some((value) => !LIFECYCLES.includes(value))) throw invalid('lifecycle', `be one of ${LIFECYCLES.join(', ')}`);
  return values.length === 0 ? null : values;
}

function readWanted(request: FastifyRequest): WantedModels {
  const afterId = queryText(request, 'after_id') ?? null;
  const beforeId = queryText(request, 'before_id') ?? null;
  if (afterId !== null && beforeId !== null) throw invalid('before_id', 'not stand beside after_id');
  return { limit: queryWhole(request, 'limit', { min: 1, max: MAX_PAGE_SIZE, fallback: DEFAULT_PAGE_SIZE }), afterId, beforeId };
}

/**
 * `GET /v1/models` as Anthropic's clients ask: a page of the models that the key may call by `POST /v1/messages`, each under its id and then
 * under each alias, the newest first. All of them are active.
 */
export const makeListModels =
  ({ catalogue }: { readonly catalogue: MessagesCatalogue }): Handler =>
  (request, reply) => {
    refuseUnknownQuery(request, ['limit', 'after_id', 'before_id', ...LIFECYCLE]);
    const wanted = readWanted(request);
    const served = (readLifecycles(request) ?? ['active']).includes('active')
      ? catalogue.models().filter((model) => isServed(request, model, catalogue))
      : [];
    const newestFirst = served.toSorted((a, b) => b.createdAtMs - a.createdAtMs);
    const all = newestFirst.flatMap((model) => [model.id, ...(model.aliases ?? [])].map((name) => modelInfo(model, name)));
    const page = pageOfModels(all, wanted);
    if (page === null) throw invalid(wanted.afterId === null ? 'before_id' : 'after_id', 'be the id of a model in this list');
    return send(reply, page);
  };

/** `GET /v1/models/{id}` as Anthropic's clients ask: one such model, by its id or an alias. Ids may hold slashes. */
export const makeGetModel =
  ({ catalogue }: { readonly catalogue: MessagesCatalogue }): Handler =>
  (request, reply) => {
    const name = (request.params as { readonly '*': string })['*'];
    const model = catalogue.model(name);
    if (model !== undefined && isServed(request, model, catalogue)) return send(reply, modelInfo(model, name));
    throw new RefusedRequest({
      code: 'model_not_found',
      message: `The model ${JSON.stringify(name)} does not exist, or you have no access to it.`,
      field: 'model',
    });
  };
