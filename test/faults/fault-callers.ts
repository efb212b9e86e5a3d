import { Agent, request as send } from 'undici';
import type { SeededRandom } from '../support/seeded-random.ts';
import { FAULTS, type CallPlan, type Fault } from './fault-upstream.ts';

/** When a caller leaves: never, right after sending, when the head is there, or after the first bytes. */
const DEPARTURES = ['never', 'at_once', 'after_head', 'after_bytes'] as const;
type Departure = (typeof DEPARTURES)[number];

/** A key that calls, and under which label the upstreams count for it. */
export interface CallingKey {
  readonly label: string;
  readonly id: string;
  readonly key: string;
  /** Sends no limit of its own, so that the upstream may give more than is held. */
  readonly isSoft: boolean;
}

/** What one caller saw. `end`: the answer ended by itself; `cut`: it broke, or there was none; `left`: the caller went away. */
export interface CallerRecord {
  readonly plan: CallPlan;
  readonly departure: Departure;
  readonly end: 'ended' | 'cut' | 'left';
  readonly status: number | null;
  /** Tokens that a whole answer told. */
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
}

/** What drives the calls. `models` are names that callers may use, each served by some of `upstreams`. */
export interface CallersOptions {
  /** Where calls go. */
  readonly origin: () => string;
  readonly keys: readonly CallingKey[];
  readonly models: readonly string[];
  readonly upstreams: readonly string[];
  readonly random: SeededRandom;
  readonly callers: number;
  /** Resolves while there is a server to call. */
  readonly ready: () => Promise<void>;
}

/** Sends `count` calls, numbered from `first`, by several callers at once; resolves when each has ended for its caller. */
export async function driveCalls(
  options: CallersOptions,
  numbers: { readonly first: number; readonly count: number },
): Promise<CallerRecord[]> {
  const agent = new Agent({ connections: options.callers * 2, pipelining: 1, headersTimeout: 60_000, bodyTimeout: 60_000 });
  const records: CallerRecord[] = [];
  let next = numbers.first;
  const drive = async (): Promise<void> => {
    while (next < numbers.first + numbers.count) {
      const call = next;
      next += 1;
      await options.ready();
      records.push(await callOnce(options, { agent, call }));
    }
  };
  await Promise.all(Array.from({ length: options.callers }, drive));
  await agent.destroy();
  return records;
}

/** Most calls go well at an upstream, stalls are rare because they take long, and everything else comes often enough. */
function pickFault(random: SeededRandom): Fault {
  const roll = random.between(1, 100);
  if (roll <= 62) return 'ok';
  if (roll <= 66) return 'slow';
  if (roll <= 67) return 'stall_before_head';
  if (roll <= 68) return 'stall_after_chunk';
  return random.pick(FAULTS.filter((fault) => !fault.startsWith('stall') && fault !== 'ok' && fault !== 'slow'));
}

const pickDeparture = (random: SeededRandom): Departure => (random.between(1, 100) <= 85 ? 'never' : random.pick(DEPARTURES.slice(1)));

async function callOnce(options: CallersOptions, { agent, call }: { readonly agent: Agent; readonly call: number }): Promise<CallerRecord> {
  const { random } = options;
  const key = random.pick(options.keys);
  const stream = random.between(0, 1) === 1;
  const departure = pickDeparture(random);
  const faults = Object.fromEntries(options.upstreams.map((id) => [id, pickFault(random)] as const));
  const completionTokens = key.isSoft ? random.between(1, 600) : random.between(1, 64);
  const plan: CallPlan = { call, key: key.label, faults, completionTokens };
  const body = JSON.stringify({
    model: random.pick(options.models),
    messages: [{ role: 'user', content: 'open the gate' }],
    user: JSON.stringify(plan),
    ...(key.isSoft ? {} : { max_tokens: 64 }),
    ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  });
  const leaving = new AbortController();
  const seen = (end: CallerRecord['end'], status: number | null, usage: CallerRecord['usage'] = null): CallerRecord => ({
    plan,
    departure,
    end,
    status,
    usage,
  });
  let status: number | null = null;
  try {
    const answering = send(`${options.origin()}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json' },
      body,
      dispatcher: agent,
      signal: leaving.signal,
    });
    if (departure === 'at_once') setTimeout(() => leaving.abort(), random.between(0, 5));
    const answer = await answering;
    status = answer.statusCode;
    if (departure === 'after_head') leaving.abort();
    let text = '';
    for await (const piece of answer.body) {
      text += String(piece);
      if (departure === 'after_bytes') leaving.abort();
    }
    return seen('ended', status, status === 200 ? usageIn(text, stream) : null);
  } catch {
    return seen(leaving.signal.aborted ? 'left' : 'cut', status);
  }
}

function usageIn(text: string, stream: boolean): CallerRecord['usage'] {
  if (!stream) return (JSON.parse(text) as { usage?: CallerRecord['usage'] }).usage ?? null;
  const events = text.split('\n\n').filter((event) => event.startsWith('data: {'));
  if (!text.endsWith('data: [DONE]\n\n')) throw new Error(`a stream ended without its end: ${text.slice(-200)}`);
  const chunks = events.map((event) => JSON.parse(event.slice('data: '.length)) as { usage?: CallerRecord['usage'] });
  return chunks.findLast(({ usage }) => usage !== undefined && usage !== null)?.usage ?? null;
}
