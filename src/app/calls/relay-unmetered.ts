import { judgeStatus, scrubbedError } from '../../core/calls/upstream-verdict.ts';
import { parseJson } from '../../core/json/int64.ts';
import type { Upstream } from '../../core/records.ts';
import type { Log } from '../../ports/log.ts';
import { UpstreamFault, type UpstreamRequest, type UpstreamResponse } from '../../ports/upstream.ts';
import type { CallLimits, CallRefusal, CallRequest, CallSink, OpenUpstream } from './call-types.ts';

/** Answers up to this size are sent in one piece. */
const GATHER_BYTES = 1_048_576;
/** What is read of an error's body. */
const ERROR_BYTES = 65_536;

/** What relaying without metering needs of the rest of the program. */
export interface UnmeteredDeps {
  /** The connection to an upstream. */
  readonly openUpstream: (upstream: Upstream) => OpenUpstream;
  readonly limits: CallLimits;
  readonly log: Log;
}

/** One request to one upstream. `rename` puts our name of the model in the place of the upstream's in its errors. */
export interface UnmeteredRequest extends Pick<CallRequest, 'requestId' | 'headers' | 'sink'> {
  readonly upstream: Upstream;
  readonly method: UpstreamRequest['method'];
  readonly path: string;
  readonly body: string | null;
  readonly rename: { readonly from: string; readonly to: string };
  /** Called once the upstream has done what it was asked, before its answer is passed on. What it throws fails the request. */
  readonly onDone?: () => Promise<void>;
}

/** How a request ended: answered (the sink has had it all, or was cut), or refused; `isFinal` where no other upstream may do better. */
export type UnmeteredOutcome =
  | { readonly kind: 'answered' }
  | { readonly kind: 'refused'; readonly refusal: CallRefusal; readonly status: number | null; readonly isFinal: boolean };

/**
 * Sends a request that costs nothing to an upstream and passes its answer on, bytes untouched: no hold, no usage, no charge.
 *
 * Faults are judged as those of a call are: our credential's are ours (502), the caller's own error passes, scrubbed. A caller that goes
 * away ends the request.
 */
export function makeRelayUnmetered(deps: UnmeteredDeps): (request: UnmeteredRequest) => Promise<UnmeteredOutcome> {
  const { limits, log } = deps;
  return async (request) => {
    const { upstream, sink } = request;
    const timeoutMs = upstream.timeoutMs ?? limits.upstreamTimeoutMs;
    const abort = new AbortController();
    sink.onGone(() => abort.abort());
    let opened: OpenUpstream;
    try {
      opened = deps.openUpstream(upstream);
    } catch (error) {
      // A credential that cannot be opened, an address that is none: another upstream may do better.
      log.error({ err: error, requestId: request.requestId, upstream: upstream.id }, 'an upstream cannot be opened');
      const refusal = { kind: 'failed', code: 'upstream_failed', retryAfter: null } as const;
      return { kind: 'refused', refusal, status: null, isFinal: false };
    }
    const { client, secrets } = opened;
    try {
      const response = await client.send({
        path: request.path,
        method: request.method,
        headers: request.headers,
        body: request.body,
        signal: abort.signal,
        timeouts: { headersMs: timeoutMs, idleMs: timeoutMs },
      });
      const { status } = response;
      const verdict = judgeStatus(status);
      if (verdict.kind !== 'answer') {
        const error = await readError(response);
        if (verdict.kind === 'failure') {
          const retryAfter = response.headers['retry-after'] ?? null;
          return { kind: 'refused', refusal: { kind: 'failed', code: verdict.code, retryAfter }, status, isFinal: false };
        }
        const scrubbed = scrubbedError(error, { status, secrets, rename: request.rename });
        return { kind: 'refused', refusal: { kind: 'passed', status, error: scrubbed }, status, isFinal: true };
      }
      await request.onDone?.();
      await passOn(response, request);
      return { kind: 'answered' };
    } catch (error) {
      if (!(error instanceof UpstreamFault)) throw error;
      log.warn({ err: error, requestId: request.requestId, upstream: upstream.id }, 'an upstream failed');
      if (sink.begun || sink.gone) {
        sink.cut();
        return { kind: 'answered' };
      }
      const code = error.code === 'upstream_timeout' ? 'upstream_timeout' : 'upstream_failed';
      return { kind: 'refused', refusal: { kind: 'failed', code, retryAfter: null }, status: null, isFinal: code === 'upstream_timeout' };
    }
  };
}

async function passOn(response: UpstreamResponse, { sink, requestId }: UnmeteredRequest): Promise<void> {
  const headers = { ...response.headers, 'x-request-id': requestId };
  const streams = response.headers['content-type']?.toLowerCase().startsWith('text/event-stream') === true;
  const { pieces, complete } = await response.body.readAll(streams ? 0 : GATHER_BYTES);
  if (complete) return sink.send(response.status, headers, pieces);
  sink.begin(response.status, headers, null);
  await writeAll(sink, pieces);
  for await (const piece of response.body) await writeAll(sink, [piece]);
  sink.end([], null);
}

async function writeAll(sink: CallSink, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) if (!sink.write(piece)) await sink.drained();
}

/** The error that an upstream sent, as far as it is JSON. */
async function readError(response: UpstreamResponse): Promise<unknown> {
  try {
    const { pieces, complete } = await response.body.readAll(ERROR_BYTES);
    if (!complete) response.body.cancel();
    return parseJson(Buffer.concat(pieces).toString('utf8'));
  } catch {
    return null;
  }
}
