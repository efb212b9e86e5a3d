import { MODEL_DEFAULTS, UPSTREAM_DEFAULTS } from '../core/access/defaults.ts';
import { upstreamHeadersFault } from '../core/access/upstream-headers.ts';
import { figuresOfRates, ratesFromPrice, type DeclaredPrice } from '../core/pricing/rates.ts';
import { headersIdentity, sealIdentity, SYSTEM_TENANT, type Model, type Price, type Upstream } from '../core/records.ts';
import { accepted, rejected, type Outcome, type Rejection } from '../core/rejection.ts';
import type { DeclaredFields, DeclaredKind } from '../ports/declared-fields.ts';
import type { Ids } from '../ports/ids.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { auditedBase, type Actor } from './audited-command.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import { refuseDeclared } from './refuse-declared.ts';

/**
 * What may be given of an upstream. `apiKey` and the values of `headers` are plaintext, which is sealed and never shown again; null is none,
 * and headers that are given replace all that were there.
 */
export type UpstreamFields = Partial<Omit<Upstream, 'id' | 'createdAtMs' | 'apiKeySealed' | 'headerNames' | 'headersSealed'>> & {
  readonly apiKey?: string | null;
  readonly headers?: Readonly<Record<string, string>> | null;
};

/** What may be given of a model. */
export type ModelFields = Partial<Omit<Model, 'id' | 'createdAtMs'>>;

/** A price to be added, in USD. `appliesFromMs` null is now. */
export interface NewPrice extends DeclaredPrice {
  readonly modelId: string;
  readonly upstreamId: string | null;
  readonly appliesFromMs: number | null;
}

/** A change of fields; `declaredAs` are their names in the configuration file. */
export interface Change<F> {
  readonly changes: F;
  readonly declaredAs: readonly string[];
}

/** What the operator does with upstreams, models and prices. */
export interface CatalogueManagement {
  /** Rejects: `invalid_request` (headers), then as `put-upstream`. */
  createUpstream(actor: Actor, upstream: UpstreamFields & Pick<Upstream, 'id'>): Promise<Outcome<Upstream>>;
  /** Rejects: `managed_by_file`, `invalid_request` (headers), then as `update-upstream`. */
  updateUpstream(actor: Actor, id: string, change: Change<UpstreamFields>): Promise<Outcome<Upstream>>;
  /** Rejects: `invalid_request` (tokenizer), then as `put-model`. Output limits left out are no larger than the context. */
  createModel(actor: Actor, model: ModelFields & Pick<Model, 'id' | 'upstreams'>): Promise<Outcome<Model>>;
  /** Rejects: `managed_by_file`, `invalid_request` (tokenizer), then as `update-model`. */
  updateModel(actor: Actor, id: string, change: Change<ModelFields>): Promise<Outcome<Model>>;
  /** Rejects: `managed_by_file`, `invalid_request` (the first wrong amount), then as `add-price`. */
  addPrice(actor: Actor, price: NewPrice): Promise<Outcome<Price>>;
  /** Rejects: `managed_by_file`, `conflict` (an upstream that models use), then as `remove-record`. */
  remove(actor: Actor, kind: 'upstream' | 'model' | 'price', id: string): Promise<Outcome<{ readonly id: string }>>;
  /** Rejects: `not_found`. */
  find<K extends 'upstream' | 'model'>(kind: K, id: string): Promise<Outcome<K extends 'upstream' ? Upstream : Model>>;
}

const PRICE_FIELDS = {
  inputPer1m: 'input_per_1m',
  outputPer1m: 'output_per_1m',
  cachedInputPer1m: 'cached_input_per_1m',
  cacheWriteInputPer1m: 'cache_write_input_per_1m',
  perRequest: 'per_request',
  perSecond: 'per_second',
  per1mCharacters: 'per_1m_characters',
  perImage: 'per_image',
} as const;

/** Makes the {@link CatalogueManagement}. `tokenizerNames` are those that a model may name. */
export function makeCatalogueManagement(deps: {
  writer: Pick<LedgerWriter, 'execute'>;
  records: Pick<RecordStore, 'record' | 'records'>;
  ids: Pick<Ids, 'next'>;
  secretBox: Pick<SecretBox, 'seal'>;
  declared: DeclaredFields;
  tokenizerNames: readonly string[];
}): CatalogueManagement {
  const { writer, records, ids, declared } = deps;
  const base = (actor: Actor, name: string, resource: { kind: string; id: string }) =>
    auditedBase(ids, actor, { name, tenantId: SYSTEM_TENANT, resourceKind: resource.kind, resourceId: resource.id });
  const refuseFile = (kind: DeclaredKind, id: string, fields: readonly string[]): Rejection | null =>
    refuseDeclared(declared, { kind, id }, fields);

  const sealKey = (id: string, apiKey: string | null): string | null =>
    apiKey === null ? null : deps.secretBox.seal(apiKey, sealIdentity('upstream', id));

  const refuseHeaders = (headers: UpstreamFields['headers']): Rejection | null => {
    const fault = headers === undefined || headers === null ? null : upstreamHeadersFault(headers);
    return fault === null ? null : { code: 'invalid_request', message: `headers must ${fault}`, field: 'headers' };
  };

  const sealHeaders = (id: string, headers: UpstreamFields['headers']): Pick<Upstream, 'headerNames' | 'headersSealed'> =>
    headers === undefined ? {} : sealedHeaders(deps.secretBox, id, headers ?? {});

  const refuseTokenizer = (tokenizer: string | null | undefined): Rejection | null =>
    tokenizer === undefined || tokenizer === null || deps.tokenizerNames.includes(tokenizer)
      ? null
      : { code: 'invalid_request', message: `tokenizer must be one of ${deps.tokenizerNames.join(', ')}, or null`, field: 'tokenizer' };

  return {
    createUpstream: async (actor, { id, apiKey = null, headers, ...fields }) => {
      const refusal = refuseHeaders(headers);
      if (refusal !== null) return rejected(refusal);
      const sealed = { apiKeySealed: sealKey(id, apiKey), ...sealHeaders(id, headers) };
      return writer.execute({
        verb: 'put-upstream',
        ...base(actor, 'create-upstream', { kind: 'upstream', id }),
        upstream: { ...UPSTREAM_DEFAULTS, kind: 'openai', baseUrl: '', provider: id, ...fields, id, ...sealed },
        replace: false,
      });
    },
    updateUpstream: async (actor, id, { changes: { apiKey, headers, ...changes }, declaredAs }) => {
      const refusal = refuseFile('upstream', id, declaredAs) ?? refuseHeaders(headers);
      if (refusal !== null) return rejected(refusal);
      const sealed = { ...(apiKey === undefined ? {} : { apiKeySealed: sealKey(id, apiKey) }), ...sealHeaders(id, headers) };
      const command = base(actor, 'update-upstream', { kind: 'upstream', id });
      return writer.execute({ verb: 'update-upstream', ...command, upstreamId: id, changes: { ...changes, ...sealed } });
    },
    createModel: async (actor, { id, ...fields }) => {
      const refusal = refuseTokenizer(fields.tokenizer);
      if (refusal !== null) return rejected(refusal);
      const contextTokens = fields.contextTokens ?? MODEL_DEFAULTS.contextTokens;
      const maxOutputTokens = fields.maxOutputTokens ?? Math.min(MODEL_DEFAULTS.maxOutputTokens, contextTokens);
      const defaultOutputTokens = fields.defaultOutputTokens ?? Math.min(MODEL_DEFAULTS.defaultOutputTokens, maxOutputTokens);
      const model = { ...MODEL_DEFAULTS, ...fields, id, contextTokens, maxOutputTokens, defaultOutputTokens };
      return writer.execute({ verb: 'put-model', ...base(actor, 'create-model', { kind: 'model', id }), model, replace: false });
    },
    updateModel: async (actor, id, { changes, declaredAs }) => {
      const refusal = refuseFile('model', id, declaredAs) ?? refuseTokenizer(changes.tokenizer);
      if (refusal !== null) return rejected(refusal);
      return writer.execute({ verb: 'update-model', ...base(actor, 'update-model', { kind: 'model', id }), modelId: id, changes });
    },
    addPrice: async (actor, { modelId, upstreamId, appliesFromMs, ...amounts }) => {
      const refusal = refuseFile('price', upstreamId === null ? modelId : `${modelId}@${upstreamId}`, ['id']);
      if (refusal !== null) return rejected(refusal);
      const priced = ratesFromPrice(amounts);
      if (!priced.ok) {
        const field = PRICE_FIELDS[priced.field];
        return rejected({ code: 'invalid_request', message: `${field} ${priced.message}`, field });
      }
      const id = ids.next('price');
      return writer.execute({
        verb: 'add-price',
        ...base(actor, 'add-price', { kind: 'price', id }),
        price: {
          id,
          modelId,
          upstreamId,
          appliesFromMs,
          ...figuresOfRates(priced.rates),
        },
      });
    },
    remove: async (actor, kind, id) => {
      const refusal = kind === 'price' ? null : refuseFile(kind, id, ['id']);
      if (refusal !== null) return rejected(refusal);
      if (kind === 'upstream') {
        const user = (await records.records('model')).find(({ upstreams }) => upstreams.some((upstream) => upstream.id === id));
        if (user !== undefined)
          return rejected({ code: 'conflict', message: `the upstream ${id} is in use by the model ${user.id}`, field: 'id' });
      }
      return writer.execute({ verb: 'remove-record', ...base(actor, `remove-${kind}`, { kind, id }), kind, recordId: id });
    },
    find: async <K extends 'upstream' | 'model'>(kind: K, id: string) => {
      const record = await records.record<'upstream' | 'model'>(kind, id);
      if (record === undefined) return rejected({ code: 'not_found', message: `${kind} ${id} not found` });
      // The record is of the kind that was asked for.
      return accepted(record as K extends 'upstream' ? Upstream : Model);
    },
  };
}

/** What a record keeps of an upstream's headers: their names, and the sealed whole. */
export function sealedHeaders(
  secretBox: Pick<SecretBox, 'seal'>,
  upstreamId: string,
  headers: Readonly<Record<string, string>>,
): Required<Pick<Upstream, 'headerNames' | 'headersSealed'>> {
  const headerNames = Object.keys(headers);
  if (headerNames.length === 0) return { headerNames, headersSealed: null };
  return { headerNames, headersSealed: secretBox.seal(JSON.stringify(headers), headersIdentity(upstreamId)) };
}
