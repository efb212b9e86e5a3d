import { expect, test } from 'vitest';
import type { LogLine } from '../../ports/container-engine.ts';
import { readLogLines } from './read-logs.ts';

const AT = '2026-01-02T03:04:05.678901234Z';
const frame = (stream: 1 | 2, text: string): Buffer => {
  const content = Buffer.from(text);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
};
async function read(pieces: readonly Uint8Array[], maxBytes = 1000): Promise<LogLine[]> {
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) yield await Promise.resolve(piece);
  }
  return Array.fromAsync(readLogLines(body(), maxBytes));
}
const atMs = Date.parse(AT);

test('lines are the same however the stream is cut into pieces', async () => {
  const whole = Buffer.concat([
    frame(1, `${AT} hé\r\n`),
    frame(2, `${AT} \n`),
    frame(1, `${AT} two`),
    frame(1, ' parts\n'),
    frame(2, `${AT} end`),
  ]);
  const expected: LogLine[] = [
    { stream: 'stdout', atMs, line: 'hé' },
    { stream: 'stderr', atMs, line: '' },
    { stream: 'stdout', atMs, line: 'two parts' },
    { stream: 'stderr', atMs, line: 'end' },
  ];
  for (const size of [1, 2, 7, 9, 40, 1000]) {
    const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) => whole.subarray(i * size, (i + 1) * size));
    expect(await read(pieces)).toEqual(expected);
  }
});

test('what is beyond the limit of a line is left out and marked, and the next line is whole', async () => {
  const lines = await read([frame(1, `${AT} ${'x'.repeat(500)}`), frame(1, `${'y'.repeat(500)}\n${AT} next\n`)], 100);
  expect(lines.map(({ line }) => line)).toEqual([`${'x'.repeat(100 - AT.length - 1)}…`, 'next']);
});

test('bytes that are no text are replaced, and a stream that ends in a header ends', async () => {
  const bytes = Buffer.concat([frame(1, `${AT} a`), Buffer.from([1, 0, 0, 0, 0, 0, 0, 2, 0xff, 10]), Buffer.from([1, 0, 0])]);
  expect(await read([bytes])).toEqual([{ stream: 'stdout', atMs, line: 'a\ufffd' }]);
});
