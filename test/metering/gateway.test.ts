import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { answerHead, oneChunk } from '../support/byte-upstream.ts';
import { startMeteringGateway, type MeteredKey, type MeteringGateway } from '../support/metering-gateway.ts';
import { CORPUS, ESTIMATED_PROMPT, requestOf, SPLIT_CASE, type MeteringCase } from './corpus.ts';

/** Bodies up to this size are sent a byte at a time as well. */
const BYTEWISE_BYTES = 1200;

let gateway: MeteringGateway;

beforeAll(async () => {
  gateway = await startMeteringGateway();
});
afterAll(() => gateway.close());

const expectUsed: MeteringGateway['expectUsed'] = (...args) => gateway.expectUsed(...args);

/** Lets the upstream answer with the bytes of a case, cut into segments that are read one by one. */
function answerWith(each: MeteringCase, cuts: readonly number[]): void {
  const bytes = Buffer.from(each.body);
  const { head, tail } = oneChunk(each.contentType, bytes.length);
  gateway.upstream.respond = async ({ socket, write, writeAndAwait }) => {
    write(head);
    if (cuts.length === 0) write(bytes);
    else for (const [index, cut] of [...cuts, bytes.length].entries()) await writeAndAwait(bytes.subarray(cuts[index - 1] ?? 0, cut));
    if (each.isCut !== true) return write(tail);
    // What was written must have arrived, or the caller would never have seen the beginning.
    await writeAndAwait(Buffer.alloc(0));
    socket.resetAndDestroy();
  };
}

/** Makes the call of a case and expects its bytes, or that it breaks off. */
async function call(key: MeteredKey, each: MeteringCase): Promise<void> {
  const answer = await gateway.post(key, each.route, requestOf(each));
  expect(answer.status).toBe(200);
  const expected = each.relayed ?? each.body;
  if (each.isCut !== true) return expect((await answer.text()) === expected).toBe(true);
  let text = '';
  const decoder = new TextDecoder();
  await expect(
    (async () => {
      for await (const chunk of answer.body ?? []) text += decoder.decode(chunk as Uint8Array, { stream: true });
    })(),
  ).rejects.toThrow(/terminated/);
  expect(expected.startsWith(text)).toBe(true);
}

describe.each(CORPUS.map((each) => [each.name, each] as const))('%s', (_name, each) => {
  const { length } = Buffer.from(each.body);

  test('is relayed byte for byte and booked exactly', async () => {
    const key = await gateway.makeKey();
    answerWith(each, []);
    await call(key, each);
    await expectUsed(key, each.used, { estimated: each.estimated === true });
  });

  test('also in TCP segments of a byte each, or large ones of 100 KiB', async () => {
    const key = await gateway.makeKey();
    const size = length <= BYTEWISE_BYTES ? 1 : 102_400;
    answerWith(
      each,
      Array.from({ length: Math.ceil(length / size) - 1 }, (_, index) => (index + 1) * size),
    );
    await call(key, each);
    await expectUsed(key, each.used, { estimated: each.estimated === true });
  });
});

test('split in two at every byte, a call for each', async () => {
  const key = await gateway.makeKey();
  const { length } = Buffer.from(SPLIT_CASE.body);
  for (let cut = 1; cut < length; cut++) {
    answerWith(SPLIT_CASE, [cut]);
    await call(key, SPLIT_CASE);
  }
  await expectUsed(key, SPLIT_CASE.used, { calls: length - 1 });
});

describe('what an upstream compresses, although it was asked not to', () => {
  const encoders: readonly (readonly [string, string, (bytes: Buffer) => Buffer])[] = [
    ['gzip', 'gzip', (bytes) => gzipSync(bytes)],
    ['x-gzip', 'x-gzip', (bytes) => gzipSync(bytes)],
    ['GZIP', 'GZIP', (bytes) => gzipSync(bytes)],
    ['br', 'br', (bytes) => brotliCompressSync(bytes)],
    ['zstd', 'zstd', (bytes) => zstdCompressSync(bytes)],
    ['deflate', 'deflate', (bytes) => deflateSync(bytes)],
    ['deflate without its frame', 'deflate', (bytes) => deflateRawSync(bytes)],
    ['identity', 'identity', (bytes) => bytes],
  ];
  const compressible = [
    'a usage chunk with empty choices',
    'a whole answer',
    'an answer of 5 MiB, usage last',
    'a stream of messages, with its cache',
  ];
  const cases = CORPUS.filter(({ name }) => compressible.includes(name));

  const answerEncoded = (each: MeteringCase, encoding: string, encoded: Buffer): void => {
    gateway.upstream.respond = async ({ write }) => {
      const length = { 'content-length': String(encoded.length) };
      write(answerHead({ 'content-type': each.contentType, 'content-encoding': encoding, ...length }));
      write(encoded);
    };
  };

  test.each(encoders)('%s: decoded, relayed as plain bytes, booked exactly', async (_name, encoding, encode) => {
    expect(cases).toHaveLength(compressible.length);
    for (const each of cases) {
      const key = await gateway.makeKey();
      answerEncoded(each, encoding, encode(Buffer.from(each.body)));
      const answer = await gateway.post(key, each.route, requestOf(each));
      expect(answer.headers.get('content-encoding')).toBeNull();
      expect((await answer.text()) === (each.relayed ?? each.body)).toBe(true);
      await expectUsed(key, each.used);
    }
  });

  test.each(['compress', 'gzip, br', 'nonsense'])(
    '%s, which nobody here can read, is refused; nothing is booked or held',
    async (encoding) => {
      const key = await gateway.makeKey();
      answerEncoded(SPLIT_CASE, encoding, gzipSync('x'));
      const answer = await gateway.post(key, SPLIT_CASE.route, requestOf(SPLIT_CASE));
      expect(answer.status).toBe(502);
      expect(await answer.json()).toMatchObject({ error: { code: 'upstream_failed' } });
      await expectUsed(key, { prompt: 0, completion: 0 }, { calls: 0 });
    },
  );

  test('a compressed stream that breaks off is cut, and booked by what could be read of it', async () => {
    const key = await gateway.makeKey();
    const encoded = gzipSync(SPLIT_CASE.body, { level: 0 });
    const cut = encoded.subarray(0, encoded.length - 60);
    answerEncoded(SPLIT_CASE, 'gzip', cut);
    const answer = await gateway.post(key, SPLIT_CASE.route, requestOf(SPLIT_CASE));
    await expect(answer.text()).rejects.toThrow(/terminated/);
    await expectUsed(key, { prompt: ESTIMATED_PROMPT, completion: 5 }, { estimated: true });
  });

  test('every answer is asked for uncompressed', async () => {
    const key = await gateway.makeKey();
    let head = '';
    gateway.upstream.respond = async ({ socket }, text) => {
      head = text;
      socket.end('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n');
    };
    await (await gateway.post(key, '/chat/completions', requestOf(SPLIT_CASE))).text();
    expect(head.toLowerCase()).toContain('accept-encoding: identity');
  });
});
