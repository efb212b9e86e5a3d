import type { MediaBound } from '../metering/media-use.ts';
import type { Model } from '../records.ts';
import type { InferenceKind, InferenceRequest } from './inference-request.ts';
import { messagesParts } from './messages-parts.ts';
import { addOtherFields, promptParts, type OpenParts, type PromptParts } from './prompt-parts.ts';
import { responsesParts } from './responses-parts.ts';

/** Kinds whose output nobody can limit by a field: it is bounded by what the model can produce. */
const UNLIMITED_KINDS: ReadonlySet<InferenceKind> = new Set(['transcriptions', 'speech', 'images']);

/** Whether a request of this kind has no field that limits its output. */
export const hasNoOutputLimit = (kind: InferenceKind): boolean => UNLIMITED_KINDS.has(kind);

/** Whether each message of a request is a prompt of its own, as long as the context each. */
export const hasManyPrompts = (kind: InferenceKind): boolean => kind === 'embeddings' || kind === 'completions';

/** No audio that people speak into is packed more tightly (4 kbit/s); a bound where the model declares none. */
const LEAST_BYTES_PER_SECOND = 500;
/** What speech commonly takes (64 kbit/s), for an estimate. */
const LIKELY_BYTES_PER_SECOND = 8000;

const REFERENCE_VOICES = 'known_speaker_references[]';

/** Takes a request of any kind apart. Of media requests only texts are listed, and the audio that they bring. */
export function requestParts(request: InferenceRequest): PromptParts {
  const { body, kind } = request;
  if (kind === 'responses') return responsesParts(request);
  if (kind === 'messages') return messagesParts(request);
  if (!hasNoOutputLimit(kind)) return promptParts(request);
  const parts: OpenParts = { texts: [], schemas: [], tokenCount: 0, messages: 1, media: [] };
  const prompt = body[kind === 'speech' ? 'input' : 'prompt'];
  if (typeof prompt === 'string') parts.texts.push(prompt);
  if (kind === 'transcriptions') {
    parts.media.push('audio');
    const voices = body[REFERENCE_VOICES];
    for (const _voice of typeof voices === 'string' ? [voices] : ((voices ?? []) as readonly unknown[])) parts.media.push('audio');
  }
  addOtherFields(parts, body, new Set([REFERENCE_VOICES]));
  return parts;
}

/**
 * What a request can use beside tokens, or null where its kind has no such unit.
 *
 * Speech: the characters (code points) of its input. Images: as many as were asked for. Transcriptions: the model's longest audio,
 * else as many seconds as the file can hold at 4 kbit/s.
 */
export function boundMediaUse(request: InferenceRequest, model: Pick<Model, 'maxAudioSeconds'>): MediaBound | null {
  const { kind, body, form } = request;
  if (kind === 'speech') {
    const characters = countCharacters(body['input'] as string);
    return { unit: 'characters', most: characters, likely: characters };
  }
  if (kind === 'images') {
    const images = typeof body['n'] === 'number' ? body['n'] : 1;
    return { unit: 'images', most: images, likely: images };
  }
  if (kind !== 'transcriptions') return null;
  const fileBytes = form?.fileBytes ?? 0;
  const most = model.maxAudioSeconds ?? Math.ceil(fileBytes / LEAST_BYTES_PER_SECOND);
  return { unit: 'seconds', most, likely: Math.min(Math.ceil(fileBytes / LIKELY_BYTES_PER_SECOND), most) };
}

function countCharacters(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length - 1; index++) {
    if (isHighSurrogate(text.charCodeAt(index)) && isLowSurrogate(text.charCodeAt(index + 1))) count -= 1;
  }
  return count;
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;
