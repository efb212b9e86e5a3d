import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span } from '../../ports/tracer.ts';

/** The span of the request that the running code works for. */
export interface CurrentSpan {
  get(): Span | undefined;
  /** Runs `work`, and whatever it leads to, for `span`. */
  run(span: Span, work: () => void): void;
}

/** Makes a {@link CurrentSpan}. Only made where something is traced: carrying it costs every promise a little. */
export function makeCurrentSpan(): CurrentSpan {
  const storage = new AsyncLocalStorage<Span>();
  return { get: () => storage.getStore(), run: (span, work) => storage.run(span, work) };
}
