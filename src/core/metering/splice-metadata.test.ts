import { describe, expect, test } from 'vitest';
import { addToJson, StreamTail, type AddedMember } from './splice-metadata.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (pieces: readonly Uint8Array[]): string => pieces.map((piece) => new TextDecoder().decode(piece)).join('');
const member: AddedMember = { name: 'metadata', json: '{"x":1}' };

describe('a member added to a JSON answer', () => {
  test.each([
    ['{"a": 1}\n', '{"a": 1,"metadata":{"x":1}}\n'],
    ['{ }', '{ "metadata":{"x":1}}'],
    ['{"a":"}é\\u007d"}', '{"a":"}é\\u007d","metadata":{"x":1}}'],
    ['{"metadata":{}}', '{"metadata":{},"routing_metadata":{"x":1}}'],
  ])('%s', (before, after) => {
    expect(text(addToJson(bytes(before), member) ?? [])).toBe(after);
  });

  test.each(['[1]', 'text', '', '"}"', '{"a":'])('leaves %j alone', (before) => {
    expect(addToJson(bytes(before), member)).toBeNull();
  });
});

/** What goes out of a stream whose pieces are `pieces` and whose end was held back from `ending` on. */
function run(pieces: readonly string[], ending: string): { readonly early: string; readonly all: string } {
  const tail = new StreamTail();
  const early = text(pieces.flatMap((piece) => tail.push(bytes(piece))));
  const rest = tail.end([bytes(ending)], { member, ownEvent: () => 'data: {"own":true}\n\n' });
  return { early, all: early + text(rest) };
}

describe('a member added to a stream', () => {
  const HELLO = 'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n';
  const STOP = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n';
  const STOPPED = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"metadata":{"x":1}}\n\n';
  const DONE = 'data: [DONE]\n\n';

  test('goes into the last event before the end, which alone waits for it', () => {
    expect(run([HELLO, HELLO + STOP], DONE)).toEqual({ early: HELLO + HELLO, all: HELLO + HELLO + STOPPED + DONE });
  });

  test('goes into the usage where that comes last', () => {
    const usage = 'data: {"choices":[],"usage":{"total_tokens":3}}\n\n';
    const used = 'data: {"choices":[],"usage":{"total_tokens":3},"metadata":{"x":1}}\n\n';
    expect(run([STOP, usage], DONE)).toEqual({ early: STOP, all: STOP + used + DONE });
  });

  test('goes into the last of several answers that stop', () => {
    expect(run([STOP, HELLO, STOP], DONE)).toEqual({ early: STOP + HELLO, all: STOP + HELLO + STOPPED + DONE });
  });

  test('passes over comments on its way', () => {
    expect(run([`${STOP}`, ': alive\n'], DONE).all).toBe(`${STOPPED}: alive\n${DONE}`);
  });

  test('keeps other line ends', () => {
    const crlf = (value: string): string => value.replaceAll('\n', '\r\n');
    expect(run([crlf(HELLO + STOP)], crlf(DONE)).all).toBe(crlf(HELLO + STOPPED + DONE));
  });

  test('goes into the event that ends a stream without [DONE]', () => {
    const end = 'event: message_stop\ndata: {"type":"message_stop"}\n\n';
    const ended = 'event: message_stop\ndata: {"type":"message_stop","metadata":{"x":1}}\n\n';
    expect(run(['data: {"type":"message_delta"}\n\n'], `${end}: bye\n`).all).toBe(`data: {"type":"message_delta"}\n\n${ended}: bye\n`);
  });

  test('goes out by itself where no event can take it', () => {
    expect(run([HELLO], DONE).all).toBe(`${HELLO}data: {"own":true}\n\n${DONE}`);
    expect(run([], DONE).all).toBe(`data: {"own":true}\n\n${DONE}`);
  });

  test('goes into the last event where the stream just ends', () => {
    expect(run([HELLO, STOP], '').all).toBe(HELLO + STOPPED);
  });

  test('takes data of several lines for one text', () => {
    expect(run(['id: 1\ndata: {"finish_reason":"stop",\ndata: "a":1}\nid: }\n\n'], DONE).all).toBe(
      `id: 1\ndata: {"finish_reason":"stop",\ndata: "a":1,"metadata":{"x":1}}\nid: }\n\n${DONE}`,
    );
  });
});
