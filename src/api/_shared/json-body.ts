import type { FastifyInstance } from 'fastify';
import { inspectJson, JsonNumberError, parseJson } from '../../core/json/int64.ts';
import { RefusedRequest } from './problem.ts';

const malformed = (message: string): RefusedRequest => new RefusedRequest({ code: 'malformed_body', message });

/** The text is JSON, but one of its numbers is none that anybody could keep. A place in a list is no name. */
function outOfRange(key: string): RefusedRequest {
  const isNamed = key !== '' && !/^\d+$/.test(key);
  const field = key.slice(0, 100);
  const message = `${isNamed ? field : 'a number in the body'} must be within the range of numbers that can be kept`;
  return new RefusedRequest({ code: 'invalid_request', message, ...(isNamed ? { field } : {}) });
}

/**
 * The value of a JSON body, integers exact; undefined for an empty one.
 *
 * Throws a `RefusedRequest` (`malformed_body`) for bytes that are no UTF-8 or no JSON, for the keys `__proto__` and `constructor`
 * anywhere, and for nesting too deep; (`invalid_request`) for a number out of range. Its message never quotes the body, where credentials may stand.
 */
export function parseJsonBody(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  let value: unknown;
  try {
    value = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof JsonNumberError) throw outOfRange(error.key);
    throw malformed('the body is not valid JSON');
  }
  const defect = inspectJson(value);
  if (defect === null) return value;
  throw malformed(defect.kind === 'too_deep' ? 'the body is nested too deeply' : `the body must not hold the key ${defect.key}`);
}

/** Makes JSON the only body that a surface reads; anything else is 415. `bodyLimit` in bytes; longer bodies are 413. */
export function addJsonBodyParser(app: FastifyInstance, options: { readonly bodyLimit: number }): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: options.bodyLimit }, (_request, body, done) => {
    try {
      done(null, parseJsonBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
}
