import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MAX_CALL_TOKENS } from '../../../src/core/metering/token-usage.ts';
import { CAP, KEY_MONEY, startGateway, TENANT_MONEY, type Gateway } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

const BODY = { model: 'm1', messages: [{ role: 'user', content: 'hello there' }], max_tokens: 5 };
/** What the call costs at most, whatever its upstream says: a million dollars. */
const MAX_CHARGE_MICROCENTS = 100_000_000_000_000n;
const LARGEST = 2n ** 63n - 1n;

let gateway: Gateway;
let upstream: OpenAiServer;
beforeEach(async () => {
  upstream = await startOpenAiServer();
  gateway = await startGateway({ upstreamUrls: [upstream.url] });
  for (const id of [KEY_MONEY, TENANT_MONEY]) gateway.allocate(id, null);
});
afterEach(async () => {
  await gateway.close();
  await upstream.close();
});

/** The upstream says these counts, as they stand in its JSON. */
function reports(count: string, how: 'whole' | 'stream'): void {
  const usage = `{"prompt_tokens":${count},"completion_tokens":${count},"total_tokens":${count}}`;
  const choice = '{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}';
  upstream.behaviour.rawPieces =
    how === 'whole'
      ? { contentType: 'application/json', pieces: [`{"id":"c1","choices":[${choice}],"usage":${usage}}`] }
      : {
          contentType: 'text/event-stream',
          pieces: ['data: {"choices":[{"delta":{"content":"hi"}}]}\n\n', `data: {"choices":[],"usage":${usage}}\n\n`, 'data: [DONE]\n\n'],
        };
}

const call = async (how: 'whole' | 'stream'): Promise<number> => {
  const answer = await gateway.post('/chat/completions', { ...BODY, stream: how === 'stream' });
  await answer.text();
  return answer.status;
};

describe.each(['whole', 'stream'] as const)('an upstream that reports absurd counts in a %s answer', (how) => {
  test.each([
    ['2^53', '9007199254740992', MAX_CALL_TOKENS],
    ['2^63', '9223372036854775808', MAX_CALL_TOKENS],
    ['2^62, each', '4611686018427387904', MAX_CALL_TOKENS],
    ['a large power of ten', '1e300', MAX_CALL_TOKENS],
    ['less than nothing', '-5', 0],
    ['less than nothing, far', '-9223372036854775809', 0],
    ['a fraction', '1.75', 1],
  ])('%s: each call is settled, with counts that can be', async (_name, count, tokens) => {
    reports(count, how);
    for (let round = 1; round <= 4; round++) {
      expect(await call(how)).toBe(200);
      expect(gateway.ledger.usage).toHaveLength(round);
      expect(gateway.ledger.usage.at(-1)).toMatchObject({ promptTokens: tokens, completionTokens: tokens });
      expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: BigInt(2 * tokens * round) });
      const { reserved, spent } = gateway.account(KEY_MONEY);
      expect(reserved).toBe(0n);
      expect(spent <= MAX_CHARGE_MICROCENTS * BigInt(round)).toBe(true);
    }
  });

  test.each([
    ['a number that nothing can keep', '1e400'],
    ['text', '"many"'],
    ['nothing', 'null'],
  ])('%s: what was seen is counted instead, as an estimate', async (_name, count) => {
    reports(count, how);
    expect(await call(how)).toBe(200);
    expect(gateway.ledger.usage).toMatchObject([{ estimated: true, completionTokens: 1 }]);
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test('an account that can count no further books the rest as debt, holds nothing, and refuses the next call by its name', async () => {
    reports('4611686018427387904', how);
    gateway.allocate(CAP, null, { spent: LARGEST - 100n });
    expect(await call(how)).toBe(200);
    expect(gateway.account(CAP)).toMatchObject({ spent: LARGEST, reserved: 0n, debt: BigInt(2 * MAX_CALL_TOKENS) - 100n });
    expect(gateway.account(TENANT_MONEY).reserved).toBe(0n);
    const refused = await gateway.post('/chat/completions', BODY);
    expect(refused.status).toBe(402);
    expect(await refused.json()).toMatchObject({ error: { code: 'debt_outstanding', account: { kind: 'key_cap', unit: 'TOKENS' } } });
  });
});
