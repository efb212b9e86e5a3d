/**
 * Reads the fields of requests for speech, transcriptions and images that decide what they may cost. Source: OpenAI API reference,
 * "Create speech", "Create transcription", "Create image".
 */
import {
  checkModel,
  checkStream,
  defectOf,
  isGiven,
  isObject,
  readCount,
  type InferenceRequestResult,
  type JsonObject,
  type RequestDefect,
} from './inference-request.ts';

/** The most images that one request may ask for. Source: OpenAI API reference, `n`. */
export const MAX_IMAGES = 10;
/** The most frames of one image. */
export const MAX_FRAMES = 1000;

const NO_OBJECT: InferenceRequestResult = {
  ok: false,
  defect: defectOf(null, 'invalid_type', 'The body must be a JSON object.'),
};

/** Reads a request for speech. Order of the checks: the body, `model`, `input`, `instructions`, `stream_format`. */
export function readSpeechRequest(body: unknown): InferenceRequestResult {
  if (!isObject(body)) return NO_OBJECT;
  const defect = checkModel(body) ?? requireText(body, 'input') ?? checkText(body, 'instructions') ?? checkText(body, 'stream_format');
  if (defect !== null) return { ok: false, defect };
  const stream = body['stream_format'] === 'sse';
  return { ok: true, request: { kind: 'speech', body, model: body['model'] as string, stream, choices: 1, outputLimit: null } };
}

/** Reads a request for images. Order of the checks: the body, `model`, `stream`, `prompt`, `n`, `frame_count`. */
export function readImagesRequest(body: unknown): InferenceRequestResult {
  if (!isObject(body)) return NO_OBJECT;
  const defect = checkModel(body) ?? checkStream(body, 'images') ?? requireText(body, 'prompt');
  if (defect !== null) return { ok: false, defect };
  let choices = 1;
  for (const [field, max] of [
    ['n', MAX_IMAGES],
    ['frame_count', MAX_FRAMES],
  ] as const) {
    const count = readCount(body, field, max);
    if (typeof count === 'object' && count !== null) return { ok: false, defect: count };
    choices *= count ?? 1;
  }
  const stream = body['stream'] === true;
  return { ok: true, request: { kind: 'images', body, model: body['model'] as string, stream, choices, outputLimit: null } };
}

/**
 * Reads the fields of a transcription's form, each a string or a list of strings. Order of the checks: `model`, `stream`,
 * `response_format`, `prompt`.
 */
export function readTranscriptionRequest(fields: unknown): InferenceRequestResult {
  if (!isObject(fields)) return NO_OBJECT;
  const { stream } = fields;
  const defect =
    checkModel(fields) ??
    (isGiven(stream) && stream !== 'true' && stream !== 'false'
      ? defectOf('stream', 'invalid_value', 'stream must be true or false.')
      : null) ??
    checkText(fields, 'response_format') ??
    checkText(fields, 'prompt');
  if (defect !== null) return { ok: false, defect };
  const model = fields['model'] as string;
  return { ok: true, request: { kind: 'transcriptions', body: fields, model, stream: stream === 'true', choices: 1, outputLimit: null } };
}

function requireText(body: JsonObject, field: string): RequestDefect | null {
  const value = body[field];
  if (!isGiven(value)) return defectOf(field, 'missing_required_parameter', `${field} is required.`);
  return checkText(body, field);
}

function checkText(body: JsonObject, field: string): RequestDefect | null {
  const value = body[field];
  return isGiven(value) && typeof value !== 'string' ? defectOf(field, 'invalid_type', `${field} must be a string.`) : null;
}
