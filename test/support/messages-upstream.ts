import type { Dialect } from '../../src/core/records.ts';
import type { Gateway } from './gateway-harness.ts';

/** Lets an upstream of a gateway speak these APIs. */
export function letSpeak(gateway: Gateway, id: string, speaks: readonly Dialect[]): void {
  const upstream = gateway.upstreams.get(id);
  if (upstream === undefined) throw new Error(`there is no upstream ${id}`);
  gateway.upstreams.set(id, { ...upstream, speaks });
}

/** An event of a Messages stream as Anthropic writes it. */
export const messagesEvent = (type: string, fields: object = {}): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;

/** The counts of a `usage`, those of a cache included. */
export interface MessagesUsage {
  readonly input_tokens?: number | null;
  readonly cache_creation_input_tokens?: number | null;
  readonly cache_read_input_tokens?: number | null;
  readonly output_tokens?: number;
}

/** A whole stream: what its start and its end report, and its text in pieces. */
export const messagesStream = (stream: {
  readonly start: MessagesUsage | null;
  readonly end: MessagesUsage | null;
  readonly text: readonly string[];
}): string[] => [
  messagesEvent('message_start', {
    message: { id: 'msg_1', type: 'message', role: 'assistant', content: [], ...(stream.start === null ? {} : { usage: stream.start }) },
  }),
  messagesEvent('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
  messagesEvent('ping'),
  ...stream.text.map((text) => messagesEvent('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })),
  messagesEvent('content_block_stop', { index: 0 }),
  messagesEvent('message_delta', { delta: { stop_reason: 'end_turn' }, ...(stream.end === null ? {} : { usage: stream.end }) }),
  messagesEvent('message_stop'),
];

/** A whole answer. */
export const messagesAnswer = (usage: object | null, text = 'hello'): string =>
  JSON.stringify({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    content: [{ type: 'text', text }],
    stop_reason: 'end_turn',
    ...(usage === null ? {} : { usage }),
  });
