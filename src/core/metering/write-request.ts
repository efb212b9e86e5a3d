import type { InferenceRequest, RequestForm } from '../bounds/inference-request.ts';
import { stringifyJson } from '../json/int64.ts';
import { dialectOf } from '../routing/dialects.ts';
import { ROUTER_FORM_FIELDS } from '../routing/requested-settings.ts';
import { mergeStreamOptions, STRIPPED_FIELDS, type UpstreamBodyOptions } from './upstream-body.ts';

/** What to send for a request, and whether the usage chunks of its stream are to be taken out. */
export interface WrittenRequest {
  readonly body: string | Uint8Array;
  readonly hideUsage: boolean;
}

/**
 * The body to send upstream for a request of any kind.
 *
 * Chats, completions, embeddings and Anthropic's messages as `mergeStreamOptions` writes them. The others report their usage by themselves, so nothing is asked
 * for and nothing taken out: the upstream's model name, no `priority` and no `cache_salt`, and for a response the output limit where the
 * caller gave none. A form keeps its boundary and every other byte of what it holds.
 */
export function writeRequest(
  options: Omit<UpstreamBodyOptions, 'body' | 'dialect'> & { readonly request: InferenceRequest },
): WrittenRequest {
  const { request, upstreamModel } = options;
  switch (request.kind) {
    case 'chat':
    case 'completions':
    case 'embeddings':
    case 'messages':
    case 'count_tokens': {
      const { text, hideUsage } = mergeStreamOptions({ ...options, body: request.body, dialect: dialectOf(request.kind) });
      return { body: text, hideUsage };
    }
    case 'transcriptions':
      return { body: request.form === undefined ? '' : writeForm(request.form, upstreamModel), hideUsage: false };
    case 'responses':
    case 'speech':
    case 'images': {
      const { outputLimit } = options;
      const limit = outputLimit === null || request.outputLimit !== null ? {} : { [outputLimit.field]: outputLimit.tokens };
      return { body: writePlain(request.body, { ...limit, model: upstreamModel }), hideUsage: false };
    }
  }
}

/** A JSON body with some fields replaced and without what a caller must not set; integers keep all their digits. */
export function writePlain(body: Readonly<Record<string, unknown>>, replaced: Readonly<Record<string, unknown>>): string {
  const written: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) if (!STRIPPED_FIELDS.has(name)) written[name] = value;
  return stringifyJson({ ...written, ...replaced });
}

/** The form with the upstream's model name in the place of the caller's, and without the parts that a caller must not set. */
function writeForm({ bytes, parts }: RequestForm, upstreamModel: string): Uint8Array {
  const model = new TextEncoder().encode(upstreamModel);
  const pieces: Uint8Array[] = [];
  let from = 0;
  for (const part of parts) {
    if (STRIPPED_FIELDS.has(part.name) || ROUTER_FORM_FIELDS.has(part.name)) {
      pieces.push(bytes.subarray(from, part.start));
      from = part.end;
    } else if (part.name === 'model') {
      pieces.push(bytes.subarray(from, part.valueStart), model);
      from = part.valueEnd;
    }
  }
  pieces.push(bytes.subarray(from));
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}
