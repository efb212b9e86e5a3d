import type { JsonObject } from '../../core/bounds/inference-request.ts';

/** Characters of one delta. */
const DELTA_CHARS = 12;

/** The events of a streamed response that ends as `ended`, each a piece of the stream. */
export function responseEvents(ended: JsonObject): string[] {
  const events: string[] = [];
  const emit = (type: string, fields: JsonObject): void => {
    events.push(`event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: events.length, ...fields })}\n\n`);
  };
  const begun = { ...ended, status: 'in_progress', output: [], usage: null };
  emit('response.created', { response: begun });
  emit('response.in_progress', { response: begun });
  for (const [index, item] of (ended['output'] as readonly JsonObject[]).entries()) emitItem(emit, index, item);
  const last = ended['status'] === 'incomplete' ? 'response.incomplete' : 'response.completed';
  emit(last, { response: ended });
  return events;
}

type Emit = (type: string, fields: JsonObject) => void;

function emitItem(emit: Emit, outputIndex: number, item: JsonObject): void {
  const at = { output_index: outputIndex, item_id: item['id'] };
  if (item['type'] === 'function_call') {
    emit('response.output_item.added', { output_index: outputIndex, item: { ...item, status: 'in_progress', arguments: '' } });
    const text = String(item['arguments']);
    for (const delta of slices(text)) emit('response.function_call_arguments.delta', { ...at, delta });
    emit('response.function_call_arguments.done', { ...at, name: item['name'], arguments: text });
  } else {
    const [part] = item['content'] as readonly JsonObject[];
    const text = typeof part?.['text'] === 'string' ? part['text'] : '';
    const place = { ...at, content_index: 0 };
    emit('response.output_item.added', { output_index: outputIndex, item: { ...item, status: 'in_progress', content: [] } });
    emit('response.content_part.added', { ...place, part: { ...part, text: '' } });
    for (const delta of slices(text)) emit('response.output_text.delta', { ...place, delta, logprobs: [] });
    emit('response.output_text.done', { ...place, text, logprobs: [] });
    emit('response.content_part.done', { ...place, part });
  }
  emit('response.output_item.done', { output_index: outputIndex, item });
}

function slices(text: string): string[] {
  const characters = Array.from(text);
  return Array.from({ length: Math.ceil(characters.length / DELTA_CHARS) }, (_, index) =>
    characters.slice(index * DELTA_CHARS, (index + 1) * DELTA_CHARS).join(''),
  );
}
