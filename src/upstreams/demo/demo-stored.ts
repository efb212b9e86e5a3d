import { errorAnswer, json, type DemoAnswer, type DemoSettings } from './demo-form.ts';
import { responseEvents } from './demo-response-events.ts';
import { presentState } from './demo-responses.ts';

const RESPONSE_PATH = /^\/responses\/([^/]+)(\/cancel|\/input_items)?$/;

/** Answers what is asked of a kept response; null for other paths. Each look at one in the background brings it on. */
export function storedAnswer(path: string, query: URLSearchParams, settings: DemoSettings): DemoAnswer | null {
  const match = RESPONSE_PATH.exec(path);
  const id = match?.[1];
  if (match === null || id === undefined || id === 'input_tokens') return null;
  const response = settings.responses?.get(id);
  if (response === undefined) return errorAnswer(404, `Response with id '${id}' not found.`, null, 'not_found');
  const method = settings.method ?? 'POST';
  if (match[2] === '/input_items') {
    const data = response.inputItems;
    return json(
      200,
      { object: 'list', data, first_id: data[0]?.['id'] ?? null, last_id: data.at(-1)?.['id'] ?? null, has_more: false },
      null,
    );
  }
  if (match[2] === '/cancel') {
    if (response.ended['background'] !== true) return errorAnswer(400, 'Cannot cancel a synchronous response.', null, 'invalid_request');
    if (response.waits > 0) response.cancelled = true;
    response.waits = 0;
    return json(200, presentState(response), null);
  }
  if (method === 'DELETE') {
    settings.responses?.delete(id);
    return json(200, { id, object: 'response', deleted: true }, null);
  }
  if (method !== 'GET') return errorAnswer(405, 'This takes GET and DELETE.', null, 'method_not_allowed');
  if (response.waits > 0) response.waits -= 1;
  if (query.get('stream') !== 'true' || response.waits > 0) return json(200, presentState(response), null);
  const from = Number(query.get('starting_after') ?? -1) + 1;
  return { status: 200, contentType: 'text/event-stream', pieces: responseEvents(response.ended).slice(from), usage: null };
}
