import type { IncomingMessage } from 'node:http';
import { imageAddress } from '../../core/containers/images.ts';
import { EngineFault, type PullRequest } from '../../ports/container-engine.ts';
import type { EngineRequests } from './requests.ts';

export interface PullLimits {
  /** Without any line of progress from the engine. */
  readonly stallMs: number;
  /** For all of it. */
  readonly totalMs: number;
}

export interface PullOptions {
  readonly requests: EngineRequests;
  /** Names the engine in messages for logs. */
  readonly host: string;
  readonly limits: PullLimits;
}

/** A line of progress is short; what is longer is no progress. */
const MAX_LINE_BYTES = 64 * 1024;

interface ProgressLine {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** What an engine says when the registry has answered and its answer will stay the same. */
const REFUSALS: readonly { readonly said: RegExp; readonly status?: number; readonly reason: string }[] = [
  {
    said: /username (?:or|and) password|authentication failed|unauthorized|authentication required|no basic auth credentials|denied|forbidden/i,
    status: 401,
    reason: 'the registry does not give it without the right credentials',
  },
  { said: /manifest unknown|not found|name unknown|does not exist|manifest for .* not/i, reason: 'the registry has no such image' },
  {
    said: /digest|verification failed|unsupported (?:manifest|media)|no matching manifest|invalid reference/i,
    reason: 'what the registry gave is not an image of that digest that runs here',
  },
];
const DISK_FULL = /no space left/i;

/**
 * Turns what an engine said of a pull into a fault: final where the registry refused, to be tried again where it failed. Its status is 401
 * where credentials are missing or wrong. `said` may hold addresses and goes to logs only.
 */
function pullFault(said: string, image: PullRequest['image'], host: string): EngineFault {
  const name = `${image.host}/${image.repository}`;
  const message = `${host}: pulling ${imageAddress(image)}: ${said.slice(0, 1000)}`;
  const refusal = REFUSALS.find((candidate) => candidate.said.test(said));
  if (refusal === undefined || DISK_FULL.test(said)) {
    const why = DISK_FULL.test(said) ? 'the disk of the host is full' : 'the registry was not reached or failed';
    return new EngineFault({ kind: 'registry_failed', message, publicMessage: `The image ${name} cannot be pulled: ${why}.` });
  }
  const { status } = refusal;
  return new EngineFault({
    kind: 'image_refused',
    message,
    ...(status === undefined ? {} : { status }),
    publicMessage: `The image ${name} cannot be pulled: ${refusal.reason}.`,
  });
}

/** The header that carries a registry's credentials: base64 for addresses with its padding, without which the engine drops it unsaid. */
const authHeader = (request: PullRequest): Record<string, string> => {
  if (request.auth === null) return {};
  const { username, password } = request.auth;
  const value = Buffer.from(JSON.stringify({ username, password, serveraddress: request.image.host }))
    .toString('base64')
    .replaceAll('+', '-')
    .replaceAll('/', '_');
  return { 'X-Registry-Auth': value };
};

const say = (line: ProgressLine): string => {
  const text = (line.status ?? '').slice(0, 200);
  return line.id === undefined ? text : `${line.id.slice(0, 80)}: ${text}`;
};

/**
 * Pulls an image, and returns when the engine says that it is done. Throws `EngineFault`: `image_refused`, `registry_failed` (also for a
 * stall), `aborted`, `timeout`, `unreachable`. When it throws, the engine is told to stop: its request is cut.
 */
export async function pullImage(request: PullRequest, { requests, host, limits }: PullOptions): Promise<void> {
  const { image, signal } = request;
  const ending = new AbortController();
  let why: 'stalled' | 'late' | 'aborted' | null = null;
  const end = (reason: NonNullable<typeof why>): void => {
    why ??= reason;
    ending.abort();
  };
  const onAbort = (): void => end('aborted');
  if (signal.aborted) end('aborted');
  signal.addEventListener('abort', onAbort);
  let stall = setTimeout(() => end('stalled'), limits.stallMs);
  const total = setTimeout(() => end('late'), limits.totalMs);
  let answer: IncomingMessage | null = null;
  try {
    answer = await requests.open({
      method: 'POST',
      path: '/images/create',
      query: { fromImage: `${image.host}/${image.repository}`, tag: image.digest },
      headers: authHeader(request),
      timeoutMs: limits.totalMs,
      signal: ending.signal,
    });
    const opened = answer;
    ending.signal.addEventListener('abort', () => opened.destroy(new Error('ended')));
    const said = await readProgress(opened, (line) => {
      clearTimeout(stall);
      stall = setTimeout(() => end('stalled'), limits.stallMs);
      request.onProgress?.(say(line));
    });
    if ((answer.statusCode ?? 0) >= 400 || said !== null) throw pullFault(said ?? `status ${answer.statusCode}`, image, host);
  } catch (error) {
    throw why === null ? asFault(error, image, host) : endedFault(why, image, host);
  } finally {
    clearTimeout(stall);
    clearTimeout(total);
    signal.removeEventListener('abort', onAbort);
    answer?.destroy();
  }
}

const asFault = (error: unknown, image: PullRequest['image'], host: string): EngineFault =>
  error instanceof EngineFault
    ? error
    : new EngineFault({
        kind: 'unreachable',
        message: `${host}: pulling ${imageAddress(image)}: ${error instanceof Error ? error.message : String(error)}`,
        publicMessage: 'The host of the container cannot be reached.',
        cause: error,
      });

function endedFault(why: 'stalled' | 'late' | 'aborted', image: PullRequest['image'], host: string): EngineFault {
  const name = `${image.host}/${image.repository}`;
  if (why === 'aborted') {
    return new EngineFault({
      kind: 'aborted',
      message: `${host}: pulling ${imageAddress(image)} was given up`,
      publicMessage: 'The pull was given up.',
    });
  }
  const what = why === 'stalled' ? 'the registry stalled' : 'it took too long';
  return new EngineFault({
    kind: 'registry_failed',
    message: `${host}: pulling ${imageAddress(image)}: ${what}`,
    publicMessage: `The image ${name} cannot be pulled: ${what}.`,
  });
}

/** Reads the lines of a pull; the error among them, or null. */
async function readProgress(answer: IncomingMessage, onLine: (line: ProgressLine) => void): Promise<string | null> {
  let text = '';
  let failed: string | null = null;
  answer.setEncoding('utf8');
  const take = (line: string): void => {
    const parsed = parseLine(line);
    if (parsed === null) return;
    failed ??= parsed.errorDetail?.message ?? parsed.error ?? messageOf(parsed);
    onLine(parsed);
  };
  for await (const piece of answer as AsyncIterable<string>) {
    const lines = (text + piece).split('\n');
    text = (lines.pop() ?? '').slice(-MAX_LINE_BYTES);
    for (const line of lines) take(line);
  }
  take(text);
  return failed;
}

/** A refusal before the pull begins is one object with a message. */
const messageOf = (line: ProgressLine): string | null => ('message' in line && typeof line.message === 'string' ? line.message : null);

function parseLine(line: string): ProgressLine | null {
  if (line.trim() === '') return null;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}
