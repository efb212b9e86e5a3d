import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Upstream } from '../../src/core/records.ts';
import { startEnclave, type Enclave, type EnclaveAnswer } from '../support/enclave.ts';
import { CAP, eventually, KEY, startGateway, type Gateway } from '../support/gateway-harness.ts';
import { startOpenAiServer } from '../support/openai-server.ts';
import { beginSealed, fetchSealedKey, frameOf, postRaw, type RawAnswer, type SealedMessage } from '../support/sealed-message.ts';
import { seededRandom, seedOfRun } from '../support/seeded-random.ts';

const MAX_BODY_BYTES = 16_384;
const CEILING = 100;

/** Declares the upstream of a gateway as one for sealed calls. */
function seal(gateway: Gateway, enclaveUrl: string): void {
  const upstream = gateway.upstreams.get('u1') as Upstream;
  gateway.upstreams.set('u1', {
    ...upstream,
    baseUrl: '',
    timeoutMs: 400,
    sealed: { enclaveUrls: [enclaveUrl], attestationUrl: null, maxOutputTokens: CEILING },
  });
}

describe('a thousand calls of every fault', () => {
  let gateway: Gateway;
  let enclave: Enclave;

  beforeEach(async () => {
    enclave = await startEnclave();
    gateway = await startGateway({ upstreamUrls: ['http://127.0.0.1:1/v1'], limits: { drainMs: 200 } });
    seal(gateway, enclave.origin);
  });
  afterEach(async () => {
    await gateway.close();
    await enclave.close();
  });

  /** How an enclave may fail. `told`: what its answer says that the call used; null where nobody hears of it, and undefined where nothing is due. */
  const FAULTS: Readonly<Record<string, { readonly told?: 'usage' | 'nothing'; readonly answer: (usage: string) => EnclaveAnswer }>> = {
    whole: { told: 'usage', answer: (usage) => ({ usage }) },
    streamed: { told: 'usage', answer: (usage) => ({ usage, inTrailer: true, frames: ['a', 'b', 'c'] }) },
    'without usage': { told: 'nothing', answer: () => ({ frames: ['a', 'b'] }) },
    'cut before its trailer': { told: 'nothing', answer: (usage) => ({ usage, inTrailer: true, frames: ['a'], breaks: true }) },
    'cut after its header': { told: 'usage', answer: (usage) => ({ usage, frames: ['a'], breaks: true }) },
    'nonsense for usage': { told: 'nothing', answer: () => ({ usage: 'prompt=1;completion=2' }) },
    refused: { answer: (usage) => ({ status: 400, usage }) },
    stale: { answer: () => ({ status: 422, plain: '{}', headers: { 'content-type': 'application/problem+json' } }) },
    broken: { answer: () => ({ status: 500 }) },
    limited: { answer: () => ({ status: 429 }) },
    empty: { answer: (usage) => ({ usage, frames: [] }) },
    silent: {
      answer: () => ({
        frames: (async function* () {
          await delay(10_000, undefined, { ref: false });
          yield 'late';
        })(),
      }),
    },
  };

  test(
    'is booked by what was told of it, by all that was held where nothing was, and by nothing where nothing was done',
    { timeout: 60_000 },
    async () => {
      const random = seededRandom(seedOfRun());
      const names = Object.keys(FAULTS);
      const expected: { readonly tokens: number | 'held' }[] = [];
      const sizes: number[] = [];
      enclave.answer = ({ text }) => {
        const { fault, prompt } = JSON.parse(text) as { fault: string; prompt: number };
        return FAULTS[fault]?.answer(`prompt=${prompt},completion=${prompt % 7},total=${prompt + (prompt % 7)},model=up-m1`) ?? {};
      };
      const callOnce = async (index: number): Promise<void> => {
        const fault = names[random.between(0, names.length - 1)] ?? 'whole';
        const leaves = fault !== 'silent' && random.between(0, 9) === 0;
        const prompt = index + 1;
        const message = await beginSealed(enclave.config);
        const wire = await message.seal(JSON.stringify({ fault, prompt }));
        const controller = new AbortController();
        const sending = fetch(`${gateway.url}/chat/completions`, {
          method: 'POST',
          signal: controller.signal,
          headers: {
            authorization: `Bearer ${KEY}`,
            'content-type': 'application/json',
            'x-tinfoil-enclave-url': enclave.origin,
            'ehbp-encapsulated-key': message.encapsulatedKey,
          },
          body: wire,
        })
          .then(async (answer) => {
            if (leaves) controller.abort();
            await answer.arrayBuffer();
          })
          .catch(() => undefined);
        await sending;
        const { told } = FAULTS[fault] ?? {};
        if (told !== undefined) {
          expected.push({ tokens: told === 'usage' ? prompt + (prompt % 7) : 'held' });
          sizes.push(wire.length + 16 + CEILING);
        }
      };
      let next = 0;
      const drive = async (): Promise<void> => {
        while (next < 1000) await callOnce(next++);
      };
      await Promise.all(Array.from({ length: 32 }, drive));
      await eventually(() => gateway.calls.active).toBe(0);
      expect(gateway.account(CAP).reserved).toBe(0n);
      expect(gateway.ledger.usage).toHaveLength(expected.length);
      const due = expected.map(({ tokens }, index) => (tokens === 'held' ? (sizes[index] ?? 0) : tokens));
      const ascending = (values: number[]): number[] => values.toSorted((a, b) => a - b);
      expect(ascending(gateway.ledger.usage.map((event) => event.promptTokens + event.completionTokens))).toEqual(ascending(due));
      expect(gateway.ledger.usage.filter(({ estimated }) => estimated)).toHaveLength(
        expected.filter(({ tokens }) => tokens === 'held').length,
      );
      expect(gateway.account(CAP).spent).toBe(BigInt(due.reduce((sum, each) => sum + each, 0)));
    },
  );
});

describe('frames that are wrong, through a relay to a gateway that is their end', () => {
  let model: Awaited<ReturnType<typeof startOpenAiServer>>;
  let end: Gateway;
  let relay: Gateway;
  let config: Uint8Array;
  let message: SealedMessage;

  beforeEach(async () => {
    model = await startOpenAiServer();
    end = await startGateway({ upstreamUrls: [model.url], maxBodyBytes: MAX_BODY_BYTES });
    relay = await startGateway({ upstreamUrls: ['http://127.0.0.1:1/v1'], apiKey: KEY, maxBodyBytes: MAX_BODY_BYTES });
    const origin = new URL(end.url).origin;
    seal(relay, origin);
    config = await fetchSealedKey(origin);
    message = await beginSealed(config);
  });
  afterEach(async () => {
    await relay.close();
    await end.close();
    await model.close();
  });

  const send = (body: readonly Uint8Array[], of = message): Promise<RawAnswer> =>
    postRaw(`${relay.url}/chat/completions`, {
      headers: {
        authorization: `Bearer ${KEY}`,
        'content-type': 'application/json',
        'x-tinfoil-enclave-url': new URL(end.url).origin,
        'ehbp-encapsulated-key': of.encapsulatedKey,
      },
      body,
    });
  const BODY = JSON.stringify({ model: 'm1', messages: [{ role: 'user', content: 'hello' }] });
  const [HEAD, TAIL] = [BODY.slice(0, 20), BODY.slice(20)];

  function expectNothingBooked(): void {
    for (const gateway of [relay, end]) {
      expect(gateway.ledger.usage).toHaveLength(0);
      expect(gateway.account(CAP)).toMatchObject({ spent: 0n, reserved: 0n });
    }
    expect(model.received).toHaveLength(0);
  }

  test.each<[string, number, (of: SealedMessage) => Promise<readonly Uint8Array[]>]>([
    ['no frames at all, whose first bytes are taken for a length', 413, async () => [Buffer.from('{"model":"m1"}')]],
    ['a frame that is cut short', 400, async (of) => [(await of.seal(BODY)).subarray(0, 40)]],
    ['a length without its frame', 400, async (of) => [await of.seal(HEAD), Buffer.from([0, 0, 0, 99])]],
    ['a frame that was changed', 400, async (of) => [Buffer.from((await of.seal(BODY)).map((byte, at) => (at === 30 ? byte ^ 1 : byte)))]],
    ['frames in another order', 400, async (of) => [await of.seal(HEAD), await of.seal(TAIL)].toReversed()],
    [
      'a frame that comes twice',
      400,
      async (of) => {
        const first = await of.seal(HEAD);
        return [first, first, await of.seal(TAIL)];
      },
    ],
    ['a frame for another key', 400, async () => [frameOf(Buffer.alloc(64, 7))]],
    ['a frame that says it is huge', 413, async () => [Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.alloc(64)]],
  ])('%s: %i, and nothing is booked', async (_what, status, bodyOf) => {
    expect((await send(await bodyOf(message))).status).toBe(status);
    expectNothingBooked();
  });

  test('a body that was taken before is refused, and booked once', async () => {
    const body = [await message.seal(BODY)];
    expect((await send(body)).status).toBe(200);
    expect((await send(body)).status).toBe(400);
    expect([relay.ledger.usage.length, end.ledger.usage.length]).toEqual([1, 1]);
    const [of, at] = [relay.ledger.usage[0], end.ledger.usage[0]];
    expect([of?.promptTokens, of?.completionTokens]).toEqual([at?.promptTokens, at?.completionTokens]);
  });

  test('frames of a byte each are as good as one', async () => {
    const frames = await Array.fromAsync(BODY, (letter) => message.seal(letter));
    const answer = await send(frames);
    expect([answer.status, relay.ledger.usage.length]).toEqual([200, 1]);
  });
});
