/** What a span tells beside its name. Never a credential, an address of a request, or text that a caller sent. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A part of the work for one request, as a tracing system shows it. All of it is free of charge where the trace is not sampled. */
export interface Span {
  /** Begins a part of this one. `client`: the part is spent waiting for another server. */
  child(name: string, options?: { readonly kind?: 'internal' | 'client'; readonly attributes?: SpanAttributes }): Span;
  /** Adds to what the span tells. */
  set(attributes: SpanAttributes): void;
  /** Names the span anew: a server's span begins before its route is known. */
  rename(name: string): void;
  /** Marks the span as failed. `code` is one word of ours, never the message of an error. */
  fail(code: string): void;
  /** Ends the span; a second time changes nothing. */
  end(): void;
  /** The trace that the span belongs to, for the log: 32 hexadecimal digits. */
  readonly traceId: string;
  /** Headers (W3C Trace Context) that make what another server does a part of this span. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Makes spans and hands them to a tracing system. */
export interface Tracer {
  /** Begins the span of a request, as a part of what its caller's `traceparent` and `tracestate` name, where they are valid. */
  begin(request: { readonly name: string; readonly headers: Readonly<Record<string, unknown>>; readonly attributes: SpanAttributes }): Span;
  /** Hands over what is still here, for a few seconds at most. */
  close(): Promise<void>;
}
