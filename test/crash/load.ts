import { setTimeout as delay } from 'node:timers/promises';
import { bearer, type Answer, type HttpClient } from '../support/http-client.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import type { TestServer } from '../support/server-process.ts';
import { chatBody } from '../support/test-config.ts';
import type { EffectLog } from './effects.ts';

/** A key that a load calls with. */
export interface LoadKey {
  readonly id: string;
  readonly key: string;
}

/** What a load runs against, and where it notes what happened. */
export interface LoadOptions {
  readonly server: TestServer;
  readonly client: HttpClient;
  readonly keys: readonly LoadKey[];
  readonly log: EffectLog;
  readonly random: SeededRandom;
  /** Callers without and with stream. */
  readonly callers?: number;
  /** A status besides 200 that an answer may have, such as that of a store that is away. */
  readonly tolerate?: number;
}

/**
 * Calls the model, plain and streamed, and makes and changes keys, all at once, until `stopped` resolves. Resolves when no request is
 * under way any more. Requests that break off are no fault: the process is meant to die.
 */
export async function runLoad(options: LoadOptions, stopped: Promise<unknown>): Promise<void> {
  let running = true;
  const stop = stopped.then(() => {
    running = false;
  });
  const repeat = async (step: () => Promise<void>): Promise<void> => {
    while (running) {
      try {
        await step();
      } catch {
        // The connection broke: the process is gone, or about to be.
        await delay(5);
      }
    }
  };
  const callers = options.callers ?? 4;
  await Promise.all([
    stop,
    ...Array.from({ length: callers }, () => repeat(() => callOnce(options, false))),
    ...Array.from({ length: callers }, () => repeat(() => callOnce(options, true))),
    repeat(() => writeKeys(options)),
  ]);
}

const WORDS = ['keep', 'treasury', 'gate', 'tower', 'moat', 'banner', 'hall', 'well'];

async function callOnce({ server, client, keys, log, random, tolerate }: LoadOptions, streaming: boolean): Promise<void> {
  const key = random.pick(keys);
  const text = Array.from({ length: random.between(3, 24) }, () => random.pick(WORDS)).join(' ');
  log.sent += 1;
  const body = chatBody(text, streaming ? { stream: true, stream_options: { include_usage: true } } : {});
  const answer = await client.ask(`${server.runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key.key), body });
  if (answer.status === tolerate) return;
  if (answer.status !== 200) {
    log.unexpected.push(`a call was answered ${answer.status}: ${answer.text.slice(0, 300)}`);
    return;
  }
  const usage = streaming ? usageOfStream(answer) : answer.json<{ usage: Usage }>().usage;
  const id = answer.headers['x-castellan-call-id'];
  if (typeof id !== 'string' || usage === null) {
    log.unexpected.push(`a call was answered without its id or its usage: ${answer.text.slice(-300)}`);
    return;
  }
  log.calls.push({ id, keyId: key.id, promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens });
}

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** The usage that a stream told before its end; null where it did not end by its own terminal event. */
function usageOfStream({ text }: Answer): Usage | null {
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '));
  if (events.at(-1) !== 'data: [DONE]') return null;
  const chunks = events.slice(0, -1).map((event) => JSON.parse(event.slice('data: '.length)) as { usage?: Usage | null });
  return chunks.findLast(({ usage }) => usage !== undefined && usage !== null)?.usage ?? null;
}

/** Makes a key, then renames it and changes its cap; the next call goes on with another key. */
async function writeKeys({ server, client, log, random, tolerate }: LoadOptions): Promise<void> {
  const headers = bearer(server.credentials().admin_key);
  log.creations += 1;
  const name = `load-${log.creations}`;
  const cap = random.between(1, 1_000_000);
  const created = await client.ask(`${server.admin}/api/keys`, { method: 'POST', headers, body: { name, max_tokens: cap } });
  if (created.status === tolerate) return;
  if (created.status !== 200) {
    log.unexpected.push(`a key creation was answered ${created.status}: ${created.text.slice(0, 300)}`);
    return;
  }
  const { id, key } = created.json<LoadKey>();
  const expected = { names: [name], caps: [cap] as (number | null)[] };
  log.keys.set(id, expected);
  for (let change = 1; change <= 2; change++) {
    const next = { name: `${name}.${change}`, cap: random.between(0, 1_000_000) };
    const nextCap = next.cap === 0 ? null : next.cap;
    expected.names.push(next.name);
    expected.caps.push(nextCap);
    const updated = await client.ask(`${server.admin}/api/keys/update`, {
      method: 'POST',
      headers,
      body: { key, name: next.name, max_tokens: next.cap },
    });
    if (updated.status === tolerate) return;
    if (updated.status !== 200) {
      log.unexpected.push(`a key update was answered ${updated.status}: ${updated.text.slice(0, 300)}`);
      return;
    }
    expected.names.splice(0, expected.names.length, next.name);
    expected.caps.splice(0, expected.caps.length, nextCap);
  }
}
