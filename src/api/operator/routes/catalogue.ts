import type { UpstreamHealth } from '../../../app/calls/upstream-health.ts';
import type { UpstreamSpeeds } from '../../../app/calls/upstream-speeds.ts';
import type { CatalogueManagement, ModelFields, UpstreamFields } from '../../../app/manage-catalogue.ts';
import type { Upstream } from '../../../core/records.ts';
import type { RecordStore } from '../../../ports/record-store.ts';
import { valueOf } from '../../_shared/problem.ts';
import { queryText, refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';
import { givenNames, MODEL_NAMES, momentOf, rateLimitsOf, renamed, sealedOf, UPSTREAM_NAMES } from '../fields.ts';
import { modelObject, priceObject, upstreamObject } from '../objects.ts';
import { AddPriceBody, CreateModelBody, CreateUpstreamBody, UpdateModelBody, UpdateUpstreamBody } from '../schemas.ts';

type ById = { Params: { id: string } };

/** What the routes need. */
interface CatalogueDeps {
  readonly catalogue: CatalogueManagement;
  readonly records: Pick<RecordStore, 'records'>;
}

/** `/upstreams`. */
export function mountUpstreams(
  app: TypedApp,
  deps: CatalogueDeps & { readonly health: Pick<UpstreamHealth, 'report'>; readonly speeds: Pick<UpstreamSpeeds, 'report'> },
): void {
  const { catalogue, records, health, speeds } = deps;
  const describe = (upstream: Upstream): object =>
    upstreamObject(upstream, { health: health.report(upstream), speeds: speeds.report(upstream.id) });
  app.post('/upstreams', { schema: { body: CreateUpstreamBody } }, async (request, reply) => {
    const upstream = {
      id: request.body.id,
      ...renamed<UpstreamFields>(request.body, UPSTREAM_NAMES),
      ...rateLimitsOf(request.body),
      ...sealedOf(request.body),
    };
    return reply.code(201).send(describe(valueOf(await catalogue.createUpstream(operatorOf(request), upstream))));
  });
  app.get('/upstreams', async (request) => {
    refuseUnknownQuery(request, []);
    return { upstreams: (await records.records('upstream')).map(describe) };
  });
  app.get<ById>('/upstreams/:id', async (request) => {
    refuseUnknownQuery(request, []);
    return describe(valueOf(await catalogue.find('upstream', request.params.id)));
  });
  app.patch('/upstreams/:id', { schema: { body: UpdateUpstreamBody } }, async (request) => {
    const declaredAs = givenNames(request.body);
    const changes = { ...renamed<UpstreamFields>(request.body, UPSTREAM_NAMES), ...rateLimitsOf(request.body), ...sealedOf(request.body) };
    const { id } = request.params as ById['Params'];
    return describe(valueOf(await catalogue.updateUpstream(operatorOf(request), id, { changes, declaredAs })));
  });
  mountRemove(app, catalogue, 'upstream');
}

interface GivenModelUpstream {
  readonly id: string;
  readonly model?: string;
  readonly weight?: number;
  readonly context_tokens?: number;
  readonly max_output_tokens?: number;
}

/** The upstreams of a model; one that names no model of its own calls it as we do. */
const modelUpstreams = (upstreams: readonly GivenModelUpstream[], modelId: string): ModelFields['upstreams'] =>
  upstreams.map(({ id, model = modelId, weight, context_tokens: context, max_output_tokens: output }) => ({
    id,
    model,
    ...(weight === undefined ? {} : { weight }),
    ...(context === undefined ? {} : { contextTokens: context }),
    ...(output === undefined ? {} : { maxOutputTokens: output }),
  }));

/** `/models`. */
export function mountModels(app: TypedApp, { catalogue, records }: CatalogueDeps): void {
  app.post('/models', { schema: { body: CreateModelBody } }, async (request, reply) => {
    const { id, upstreams } = request.body;
    const model = {
      id,
      ...renamed<ModelFields>(request.body, MODEL_NAMES),
      ...rateLimitsOf(request.body),
      upstreams: modelUpstreams(upstreams, id) ?? [],
    };
    return reply.code(201).send(modelObject(valueOf(await catalogue.createModel(operatorOf(request), model))));
  });
  app.get('/models', async (request) => {
    refuseUnknownQuery(request, []);
    return { models: (await records.records('model')).map(modelObject) };
  });
  app.get<ById>('/models/:id', async (request) => {
    refuseUnknownQuery(request, []);
    return modelObject(valueOf(await catalogue.find('model', request.params.id)));
  });
  app.patch('/models/:id', { schema: { body: UpdateModelBody } }, async (request) => {
    const declaredAs = givenNames(request.body);
    const { id } = request.params as ById['Params'];
    const { upstreams } = request.body;
    const changes = {
      ...renamed<ModelFields>(request.body, MODEL_NAMES),
      ...rateLimitsOf(request.body),
      ...(upstreams === undefined ? {} : { upstreams: modelUpstreams(upstreams, id) ?? [] }),
    };
    return modelObject(valueOf(await catalogue.updateModel(operatorOf(request), id, { changes, declaredAs })));
  });
  mountRemove(app, catalogue, 'model');
}

/** `/prices`: added and, while they lie ahead, taken back; never changed. */
export function mountPrices(app: TypedApp, { catalogue, records }: CatalogueDeps): void {
  app.post('/prices', { schema: { body: AddPriceBody } }, async (request, reply) => {
    const { body } = request;
    const price = await catalogue.addPrice(operatorOf(request), {
      modelId: body.model_id,
      upstreamId: body.upstream_id ?? null,
      inputPer1m: body.input_per_1m,
      outputPer1m: body.output_per_1m,
      cachedInputPer1m: body.cached_input_per_1m ?? null,
      cacheWriteInputPer1m: body.cache_write_input_per_1m ?? null,
      perRequest: body.per_request ?? null,
      perSecond: body.per_second ?? null,
      per1mCharacters: body.per_1m_characters ?? null,
      perImage: body.per_image ?? null,
      appliesFromMs: momentOf(body.applies_from ?? null),
    });
    return reply.code(201).send(priceObject(valueOf(price)));
  });
  app.get('/prices', async (request) => {
    refuseUnknownQuery(request, ['model_id']);
    const modelId = queryText(request, 'model_id');
    const prices = await records.records('price');
    return { prices: prices.filter((price) => modelId === undefined || price.modelId === modelId).map(priceObject) };
  });
  mountRemove(app, catalogue, 'price');
}

function mountRemove(app: TypedApp, catalogue: CatalogueManagement, kind: 'upstream' | 'model' | 'price'): void {
  app.delete<ById>(`/${kind}s/:id`, async (request, reply) => {
    valueOf(await catalogue.remove(operatorOf(request), kind, request.params.id));
    return reply.code(204).send();
  });
}
