import { mayUseModel } from '../../core/access/allowed-models.ts';
import type { InferenceRequest } from '../../core/bounds/inference-request.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { CallRefusal, CallRequest } from './call-types.ts';

/** A request whose references are known, and the upstream that it must go to; null where any may answer. Or why it may not go anywhere. */
export type Resolved =
  | { readonly ok: true; readonly request: InferenceRequest; readonly upstreamId: string | null }
  | { readonly ok: false; readonly refusal: CallRefusal };

/** Whether a request names anything that an upstream keeps. */
export const hasReferences = ({ refers }: InferenceRequest): boolean =>
  refers !== undefined && (refers.previousResponseId !== null || refers.itemIds.length > 0);

/**
 * Finds the upstream that keeps what a request builds on, among what calls of its tenant have met: what another tenant made does not
 * exist for it, nor what a model made that its key may not call. Adds what an earlier response brings into the prompt, where that is known.
 *
 * Refuses, in this order: `not_found` (an id that the tenant never met, that was deleted, or that is another model's than the key's); `invalid` (ids that lie at different upstreams).
 */
export function makeResolveReferences(deps: {
  readonly records: Pick<RecordStore, 'upstreamObjects'>;
}): (caller: Pick<CallRequest, 'key' | 'tenant'>, request: InferenceRequest) => Promise<Resolved> {
  return async ({ key, tenant }, request) => {
    const { refers } = request;
    if (refers === undefined) return { ok: true, request, upstreamId: null };
    const { previousResponseId, itemIds } = refers;
    const wanted = [...new Set([...(previousResponseId === null ? [] : [previousResponseId]), ...itemIds])];
    const objects = await deps.records.upstreamObjects({ tenantId: tenant.id, ids: wanted });
    const found = new Map(objects.filter(({ model }) => mayUseModel(key, { id: model })).map((object) => [object.id, object]));
    const missing = wanted.find((id) => !found.has(id));
    if (missing !== undefined) return { ok: false, refusal: unknown(missing, missing === previousResponseId) };
    const upstreamIds = new Set([...found.values()].map(({ upstreamId }) => upstreamId));
    const [upstreamId] = upstreamIds;
    if (upstreamId === undefined) return { ok: true, request, upstreamId: null };
    if (upstreamIds.size > 1) {
      const message = 'The items of input lie at different upstreams; send them whole instead of by their ids.';
      return { ok: false, refusal: { kind: 'invalid', defect: { param: 'input', code: 'invalid_value', message } } };
    }
    const previous = previousResponseId === null ? undefined : found.get(previousResponseId);
    const priorTokens = itemIds.length === 0 ? (previous?.tokens ?? null) : null;
    return { ok: true, request: { ...request, refers: { ...refers, priorTokens } }, upstreamId };
  };
}

const unknown = (id: string, isResponse: boolean): CallRefusal => ({
  kind: 'rejected',
  rejection: {
    code: 'not_found',
    message: isResponse ? `The response ${id} does not exist.` : `The item ${id} does not exist.`,
    field: isResponse ? 'previous_response_id' : 'input',
  },
});
