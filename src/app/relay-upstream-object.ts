import { mayUseModel } from '../core/access/allowed-models.ts';
import { isObjectId } from '../core/bounds/responses-request.ts';
import type { Ids } from '../ports/ids.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { CallCatalogue, CallOutcome, CallRefusal, CallRequest, CommandWriter } from './calls/call-types.ts';
import { refuseTenant } from './calls/plan-call.ts';
import { makeRelayUnmetered, type UnmeteredDeps } from './calls/relay-unmetered.ts';

/** What relaying needs. */
export interface RelayUpstreamObjectDeps extends UnmeteredDeps {
  readonly catalogue: CallCatalogue;
  readonly records: Pick<RecordStore, 'upstreamObjects'>;
  readonly writer: CommandWriter;
  readonly ids: Pick<Ids, 'next'>;
}

/** What is asked about a stored response. `query` is what of the caller's query goes upstream, with its question mark, or empty. */
export interface ObjectRequest extends Pick<CallRequest, 'requestId' | 'key' | 'tenant' | 'headers' | 'sink'> {
  readonly responseId: string;
  readonly action: 'get' | 'delete' | 'cancel' | 'input-items';
  readonly query: string;
}

const ACTIONS = {
  get: { method: 'GET', suffix: '' },
  delete: { method: 'DELETE', suffix: '' },
  cancel: { method: 'POST', suffix: '/cancel' },
  'input-items': { method: 'GET', suffix: '/input_items' },
} as const;

/**
 * Asks the upstream that keeps a response about it, and passes the answer on. Nothing is metered: the call that made the response was.
 * One that was deleted there is forgotten here before the caller learns of it.
 *
 * Refuses, in this order: `tenant_closed`, `tenant_suspended`; `not_found` (no call of this tenant met the id, it was deleted, the
 * key may not call the model that made it, or its upstream is no more); then as the upstream does.
 */
export function makeRelayUpstreamObject(deps: RelayUpstreamObjectDeps): (request: ObjectRequest) => Promise<CallOutcome> {
  const relay = makeRelayUnmetered(deps);
  return async (request) => {
    const refusal = refuseTenant(request);
    if (refusal !== null) return refusal;
    const { responseId, action } = request;
    const tenantId = request.tenant.id;
    const [object] = isObjectId(responseId) ? await deps.records.upstreamObjects({ tenantId, ids: [responseId] }) : [];
    const upstream = object === undefined ? undefined : deps.catalogue.upstream(object.upstreamId);
    const isReachable = object !== undefined && mayUseModel(request.key, { id: object.model });
    if (!isReachable || upstream === undefined) return unknown(responseId);
    const { method, suffix } = ACTIONS[action];
    const forget = async (): Promise<void> => {
      await deps.writer.execute({ verb: 'forget-upstream-object', id: deps.ids.next('cmd'), tenantId, objectId: responseId });
    };
    const model = deps.catalogue.model(object.model)?.upstreams.find(({ id }) => id === upstream.id);
    const outcome = await relay({
      requestId: request.requestId,
      headers: withoutType(request.headers),
      sink: request.sink,
      upstream,
      method,
      path: `/responses/${encodeURIComponent(responseId)}${suffix}${request.query}`,
      body: null,
      rename: { from: model?.model ?? object.model, to: object.model },
      ...(action === 'delete' ? { onDone: forget } : {}),
    });
    return outcome.kind === 'answered' ? outcome : outcome.refusal;
  };
}

/** A caller may name a type for a body that it does not send. */
const withoutType = ({ 'content-type': _type, ...headers }: CallRequest['headers']): CallRequest['headers'] => headers;

const unknown = (id: string): CallRefusal => ({
  kind: 'rejected',
  rejection: { code: 'not_found', message: `The response ${id.slice(0, 100)} does not exist.`, field: 'response_id' },
});
