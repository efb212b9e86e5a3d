import { expect, test } from 'vitest';
import { readFrames } from './exec-requests.ts';

const frame = (stream: number, text: string): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
};

async function* inPiecesOf(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < bytes.length; from += size) {
    await Promise.resolve();
    yield bytes.subarray(from, from + size);
  }
}

test.each([1, 3, 7, 8, 9, 1000])('streams are taken apart whatever the pieces are: %i bytes', async (size) => {
  const bytes = Buffer.concat([frame(1, 'out '), frame(2, ''), frame(2, 'err'), frame(1, 'more')]);
  const read = { stdout: '', stderr: '' };
  for await (const { stream, bytes: piece } of readFrames(inPiecesOf(bytes, size))) read[stream] += Buffer.from(piece).toString();
  expect(read).toEqual({ stdout: 'out more', stderr: 'err' });
});

test('what is in a frame is passed on before the frame is whole', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield frame(1, 'all of it').subarray(0, 11);
    await Promise.resolve();
    throw new Error('the connection broke');
  }
  const frames = readFrames(broken());
  expect(await frames.next()).toMatchObject({ value: { stream: 'stdout', bytes: Buffer.from('all') } });
  await expect(frames.next()).rejects.toThrow('the connection broke');
});
