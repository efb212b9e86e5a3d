import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { oneChunk } from '../support/byte-upstream.ts';
import { startMeteringGateway, type MeteringGateway, type Way } from '../support/metering-gateway.ts';
import { CORPUS, requestOf } from './corpus.ts';

const WAYS: readonly Way[] = ['sealed end', 'sealed relay'];

describe.each(WAYS)('the corpus through calls of a %s', (way) => {
  let gateway: MeteringGateway;
  beforeAll(async () => void (gateway = await startMeteringGateway(way)));
  afterAll(() => gateway.close());

  test.each(CORPUS.map((each) => [each.name, each] as const))('%s', async (_name, each) => {
    const key = await gateway.makeKey();
    const bytes = Buffer.from(each.body);
    const { head, tail } = oneChunk(each.contentType, bytes.length);
    gateway.upstream.respond = async ({ socket, write, writeAndAwait }) => {
      write(head);
      write(bytes);
      if (each.isCut !== true) return write(tail);
      await writeAndAwait(Buffer.alloc(0));
      socket.resetAndDestroy();
    };
    const answer = await gateway.post(key, each.route, requestOf(each));
    expect(answer.status).toBe(200);
    const expected = each.relayed ?? each.body;
    if (each.isCut !== true) {
      expect((await answer.text()) === expected).toBe(true);
      // What the enclave estimates it tells like anything else that it has counted.
      return gateway.expectUsed(key, each.used, { estimated: each.estimated === true && way === 'sealed end' });
    }
    await expect(answer.text()).rejects.toThrow('terminated');
    // A relay hears nothing of what a cut answer used, and books all that was held.
    if (way === 'sealed end') await gateway.expectUsed(key, each.used, { estimated: each.estimated === true });
    else await gateway.expectEstimated(key);
  });
});
