import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { isTokenArray, type InferenceRequest, type JsonObject, type RequestDefect } from '../../core/bounds/inference-request.ts';
import { stringifyJson } from '../../core/json/int64.ts';

const DEFAULT_DIMENSIONS = 16;
const MAX_DIMENSIONS = 4096;

/** Vectors for the inputs of a request, or what is wrong with its `dimensions` or `encoding_format`. The same text, the same vector. */
export function embeddingsAnswer(request: InferenceRequest): { readonly data: readonly JsonObject[] } | { readonly defect: RequestDefect } {
  const { body } = request;
  const dimensions = body['dimensions'] ?? DEFAULT_DIMENSIONS;
  if (typeof dimensions !== 'number' || !Number.isInteger(dimensions) || dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    const message = `dimensions must be a whole number from 1 to ${MAX_DIMENSIONS}.`;
    return { defect: { param: 'dimensions', code: 'invalid_value', message } };
  }
  const format = body['encoding_format'] ?? 'float';
  if (format !== 'float' && format !== 'base64') {
    return { defect: { param: 'encoding_format', code: 'invalid_value', message: 'encoding_format must be float or base64.' } };
  }
  const input = body['input'];
  const inputs = Array.isArray(input) && !isTokenArray(input) ? (input as readonly unknown[]) : [input];
  return {
    data: inputs.map((item, index) => {
      const vector = vectorOf(typeof item === 'string' ? item : stringifyJson(item), dimensions);
      return { object: 'embedding', index, embedding: format === 'float' ? [...vector] : base64Of(vector) };
    }),
  };
}

/** A vector of length 1, from the text's hash and no meaning in it. */
function vectorOf(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  let digest = createHash('sha256').update(text).digest();
  for (let index = 0; index < dimensions; index++) {
    if (index > 0 && index % 16 === 0) digest = createHash('sha256').update(digest).digest();
    vector[index] = digest.readUInt16LE((index % 16) * 2) / 32_768 - 1;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

/** As OpenAI encodes vectors: the bytes of 32-bit floats, lowest byte first. */
function base64Of(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, index) => bytes.writeFloatLE(value, index * 4));
  return bytes.toString('base64');
}
