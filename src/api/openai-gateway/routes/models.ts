import type { FastifyReply, FastifyRequest } from 'fastify';
import { mayUseModel } from '../../../core/access/allowed-models.ts';
import type { Catalogue } from '../../../app/directory/catalogue.ts';
import { stringifyJson } from '../../../core/json/int64.ts';
import type { Clock } from '../../../ports/clock.ts';
import { errorOfRejection, sendError } from '../errors.ts';
import { modelObject } from '../model-object.ts';

/** What the list of models is made of. */
export type ModelCatalogue = Pick<Catalogue, 'model' | 'models' | 'prices'>;

type Handler = (request: FastifyRequest, reply: FastifyReply) => FastifyReply;

const sendJson = (reply: FastifyReply, value: unknown): FastifyReply =>
  reply.header('content-type', 'application/json; charset=utf-8').send(stringifyJson(value));

/** `GET /v1/models`: every model that the key may call, under its id and then under each alias, in OpenAI's list form. */
export const makeListModels =
  (deps: { readonly catalogue: ModelCatalogue; readonly clock: Clock }): Handler =>
  (request, reply) => {
    const nowMs = deps.clock.nowMs();
    const { key } = request.gatewayPrincipal;
    const allowed = deps.catalogue.models().filter((model) => mayUseModel(key, model));
    const data = allowed.flatMap((model) => {
      const prices = deps.catalogue.prices(model.id);
      return [model.id, ...(model.aliases ?? [])].map((name) => modelObject(model, { prices, nowMs, name }));
    });
    return sendJson(reply, { object: 'list', data });
  };

/** `GET /v1/models/{id}`: one model, by its id or an alias. Ids may hold slashes, so everything behind the prefix is the id. */
export const makeGetModel =
  (deps: { readonly catalogue: ModelCatalogue; readonly clock: Clock }): Handler =>
  (request, reply) => {
    const id = (request.params as { readonly '*': string })['*'];
    const model = deps.catalogue.model(id);
    const nowMs = deps.clock.nowMs();
    if (model !== undefined && mayUseModel(request.gatewayPrincipal.key, model))
      return sendJson(reply, modelObject(model, { prices: deps.catalogue.prices(model.id), nowMs, name: id }));
    const rejection = {
      code: 'model_not_found',
      message: `The model ${JSON.stringify(id)} does not exist, or you have no access to it.`,
      field: 'model',
    } as const;
    return sendError(reply, errorOfRejection(rejection, { hideAmounts: true, nowMs }));
  };
