import { UpstreamFault, type UpstreamBodyStream, type UpstreamClient, type UpstreamResponse } from '../../ports/upstream.ts';
import type { Span } from '../../ports/tracer.ts';
import type { Cell } from '../../telemetry/metrics/families.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import type { CurrentSpan } from './current-span.ts';

/**
 * A connection to an upstream with its attempts counted, timed and traced beside it. Where the call is traced, what the upstream does
 * becomes a part of its span; else the caller's own trace context goes on as it came.
 */
export function observeUpstream(
  client: UpstreamClient,
  upstreamId: string,
  deps: { readonly metrics: Metrics; readonly current: CurrentSpan | null },
): UpstreamClient {
  const { metrics, current } = deps;
  const seconds = metrics.upstreamSeconds.of(upstreamId);
  const cells = new Map<string, Cell>();
  const count = (outcome: string): void => {
    const cell = cells.get(outcome) ?? metrics.upstreamAttempts.cell(upstreamId, outcome);
    cells.set(outcome, cell);
    cell.value += 1;
  };
  return {
    send: async (request) => {
      const attributes = { 'castellan.upstream': upstreamId, 'http.request.method': request.method };
      const span = current?.get()?.child('upstream', { kind: 'client', attributes });
      const headers = span === undefined ? request.headers : { ...request.headers, ...span.headers };
      const startedMs = performance.now();
      try {
        const response = await client.send(span === undefined ? request : { ...request, headers });
        seconds.observe((performance.now() - startedMs) / 1000);
        count(outcomeOf(response.status));
        return span === undefined ? response : traced(response, span);
      } catch (error) {
        const kind = kindOf(error);
        count(kind);
        span?.fail(kind);
        span?.end();
        throw error;
      }
    },
    close: () => client.close(),
  };
}

const outcomeOf = (status: number): string => (status === 429 ? '429' : `${Math.trunc(status / 100)}xx`);

const kindOf = (error: unknown): string => (error instanceof UpstreamFault ? error.kind : 'internal');

/** The response, whose body ends the span. */
function traced(response: UpstreamResponse, span: Span): UpstreamResponse {
  span.set({ 'http.response.status_code': response.status });
  if (response.status >= 400) span.fail(String(response.status));
  const { body } = response;
  const watch = async <T>(work: Promise<T>, isEnd: (value: T) => boolean): Promise<T> => {
    try {
      const value = await work;
      if (isEnd(value)) span.end();
      return value;
    } catch (error) {
      span.fail(kindOf(error));
      span.end();
      throw error;
    }
  };
  const stream: UpstreamBodyStream = {
    get isOver() {
      return body.isOver;
    },
    get trailers() {
      return body.trailers;
    },
    readAll: (maxBytes) => watch(body.readAll(maxBytes), ({ complete }) => complete),
    cancel: () => {
      body.cancel();
      span.end();
    },
    [Symbol.asyncIterator]: () => {
      const pieces = body[Symbol.asyncIterator]();
      return {
        next: () => watch(pieces.next(), ({ done }) => done === true),
        return: async () => {
          span.end();
          return (await pieces.return?.()) ?? { done: true, value: undefined };
        },
      };
    },
  };
  return { ...response, body: stream };
}
