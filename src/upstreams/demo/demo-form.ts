import type { CountTokens } from './demo-reply.ts';
import type { DemoResponseStore } from './demo-response-store.ts';

/** A whole answer of the demo upstream. */
export interface DemoAnswer {
  readonly status: number;
  readonly contentType: string;
  /** The body: one piece, or an event each for a stream. */
  readonly pieces: readonly string[];
  /** The body where it is no text; then `pieces` is empty. */
  readonly bytes?: readonly Uint8Array[];
  /** What it used, as the answer reports it; null for errors, for lists, and for what is not counted in tokens. */
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | null;
}

/** What the answer depends on beside the request. */
export interface DemoSettings {
  readonly countTokens: CountTokens;
  /** Seconds since the epoch; OpenAI's answers carry it. */
  readonly createdAt: number;
  /** Models that are answered for; others are 404. Null for any. */
  readonly models: readonly string[] | null;
  /** False leaves every usage out, as some upstreams do. */
  readonly reportUsage: boolean;
  /** Says this instead of repeating the last message. */
  readonly text: string | null;
  /** `POST` where nothing is said. */
  readonly method?: string;
  /** The type of the body; JSON where nothing is said. */
  readonly contentType?: string;
  /** Where responses are kept; nowhere where nothing is said. */
  readonly responses?: DemoResponseStore;
}

/** An error in OpenAI's form. */
export function errorAnswer(status: number, message: string, param: string | null, code: string): DemoAnswer {
  const type = status >= 500 ? 'server_error' : 'invalid_request_error';
  return json(status, { error: { message, type, param, code } }, null);
}

/** A JSON answer. */
export function json(status: number, body: unknown, usage: DemoAnswer['usage']): DemoAnswer {
  return { status, contentType: 'application/json', pieces: [JSON.stringify(body)], usage };
}
