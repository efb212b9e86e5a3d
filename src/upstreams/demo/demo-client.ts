import { Buffer } from 'node:buffer';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../ports/clock.ts';
import type { Tokenizers } from '../../ports/tokenizer.ts';
import { UpstreamFault, type UpstreamBodyStream, type UpstreamClient } from '../../ports/upstream.ts';
import { demoAnswer } from './demo-answer.ts';
import { makeDemoResponseStore } from './demo-response-store.ts';
import { DEMO_MODEL_ID, DEMO_MODEL_LIMITS } from './demo-model.ts';

/**
 * The upstream that answers inside our process: model `demo-echo`, deterministic, honest about its tokens, no network.
 *
 * Chat (tools, streams, several choices), completions, responses, embeddings, speech, transcriptions and images; see `demoAnswer`. Responses
 * are kept in memory, the last 500 of them. A stream gives the event loop a turn between its
 * chunks, so that it arrives as several, as it would from a network.
 */
export function makeDemoClient(deps: { readonly tokenizers: Tokenizers; readonly clock: Clock }): UpstreamClient {
  const responses = makeDemoResponseStore();
  const tokenizerName = DEMO_MODEL_LIMITS.tokenizer ?? 'o200k_base';
  return {
    send: async (request) => {
      const tokenizer = deps.tokenizers.loaded(tokenizerName) ?? (await deps.tokenizers.load(tokenizerName));
      if (tokenizer === null) throw fault('connect', `tokenizer ${tokenizerName} is missing`);
      if (request.signal?.aborted === true) throw fault('aborted', 'was given up');
      const { body } = request;
      if (body !== null && typeof body !== 'string' && !(body instanceof Uint8Array)) throw fault('connect', 'takes no sealed bodies');
      const contentType = request.headers['content-type'];
      const answer = demoAnswer(request.path, body ?? '', {
        method: request.method,
        ...(typeof contentType === 'string' ? { contentType } : {}),
        responses,
        countTokens: (text) => tokenizer.count(text),
        createdAt: Math.floor(deps.clock.nowMs() / 1000),
        models: [DEMO_MODEL_ID],
        reportUsage: true,
        text: null,
      });
      const pieces = answer.bytes ?? answer.pieces.map((piece) => Buffer.from(piece));
      return {
        status: answer.status,
        headers: { 'content-type': answer.contentType },
        requestId: null,
        body: bodyOf(pieces, request.signal),
      };
    },
    close: async () => {},
  };
}

function bodyOf(pieces: readonly Uint8Array[], signal: AbortSignal | null): UpstreamBodyStream {
  let next = 0;
  let cancelled = false;
  const checkAlive = (): void => {
    if (cancelled || signal?.aborted === true) throw fault('aborted', 'was given up', next === 0);
  };
  return {
    isOver: false,
    trailers: {},
    cancel: () => {
      cancelled = true;
    },
    readAll: async (maxBytes) => {
      checkAlive();
      const read: Uint8Array[] = [];
      for (let bytes = 0, piece = pieces[next]; piece !== undefined; piece = pieces[next]) {
        next += 1;
        read.push(piece);
        bytes += piece.length;
        if (bytes > maxBytes) return { pieces: read, complete: false };
      }
      return { pieces: read, complete: true };
    },
    async *[Symbol.asyncIterator]() {
      for (let piece = pieces[next]; piece !== undefined; piece = pieces[next]) {
        checkAlive();
        next += 1;
        yield piece;
        await setImmediate();
      }
    },
  };
}

function fault(kind: 'connect' | 'aborted', what: string, beforeFirstByte = true): UpstreamFault {
  return new UpstreamFault({ kind, beforeFirstByte, message: `upstream demo ${what}` });
}
