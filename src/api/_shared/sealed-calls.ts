import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Readable } from 'node:stream';
import type { SealedEnd } from '../../app/sealed/sealed-end.ts';
import { bytesOfHex } from '../../core/sealed/hex.ts';
import { ENCAPSULATED_KEY_HEADER, ENCLAVE_URL_HEADER, isEncapsulatedKey, STALE_KEY_PROBLEM } from '../../core/sealed/protocol.ts';
import type { SealedContext } from '../../ports/sealed-crypto.ts';
import { sealAnswer } from './sealed-answer.ts';
import { maxSealedBytes, SealedBody, tooLarge, unopenable } from './sealed-body.ts';

/** A sealed request under way; `opened` is its first frame, null while it has not been read. */
interface SealedCall {
  readonly encapsulatedKey: string;
  readonly body: SealedBody;
  readonly opened: { readonly plaintext: Uint8Array; readonly context: SealedContext } | null;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set where the request's body is sealed for this server. */
    sealedCall: SealedCall | null;
  }
}

/** What surfaces need to take sealed bodies. */
export interface SealedDeps {
  readonly sealedEnd: SealedEnd;
  readonly maxBodyBytes: number;
}

const STALE = JSON.stringify({ type: STALE_KEY_PROBLEM, title: 'The key is out of date: fetch it again, and send the request once more.' });

/**
 * Lets every POST that `app` gets from now on bring a sealed body, and have a sealed answer to it. Call it before the surface authenticates.
 *
 * The first frame is opened before anything else looks at the request: only then is it known whom the answer is for, and from then on every
 * answer is sealed, refusals too. A first frame that is long is left until the caller is known; what is refused before is answered in the clear.
 * The other frames are opened as the surface reads the body. Requests that name an upstream are not for this server, and left as they are.
 *
 * Refuses: 400 `malformed_body`, the same for whatever cannot be opened and for a body that was taken before; 413 for one that is too large;
 * 422 in the form of EHBP, in the clear, for a key that is stale. Source: EHBP specification, section 5.
 */
export function takeSealedCalls(app: FastifyInstance, deps: SealedDeps): void {
  app.decorateRequest('sealedCall', null);
  app.addHook('onRequest', (request, reply, done) => {
    if (!isSealed(request)) return done();
    begin(request, reply, deps).then((isAnswered) => {
      if (!isAnswered) done();
    }, done);
  });
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.sealedCall === null) return done(null, payload);
    openRest(request, reply, deps).then((opened) => {
      if (opened !== null) done(null, opened as unknown as typeof payload);
    }, done);
  });
}

function isSealed({ method, headers }: FastifyRequest): boolean {
  if (headers[ENCAPSULATED_KEY_HEADER] === undefined || method !== 'POST' || headers[ENCLAVE_URL_HEADER] !== undefined) return false;
  // What has no body is in the clear, and so is its answer. Source: EHBP specification, section 5.2.
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** Reads and opens the first frame, if it is short. True where the request has been answered. */
async function begin(request: FastifyRequest, reply: FastifyReply, { sealedEnd, maxBodyBytes }: SealedDeps): Promise<boolean> {
  const encapsulatedKey = request.headers[ENCAPSULATED_KEY_HEADER];
  if (!isEncapsulatedKey(encapsulatedKey)) {
    sealedEnd.count('refused');
    throw unopenable();
  }
  if (Number(request.headers['content-length'] ?? 0) > maxSealedBytes(maxBodyBytes)) throw tooLarge();
  const body = new SealedBody(request.raw, { maxBodyBytes });
  reply.raw.once('close', () => body.release());
  const call = { encapsulatedKey: encapsulatedKey.toLowerCase(), body, opened: null };
  let keptBytes = 0;
  const mayRead = (frameBytes: number): boolean => {
    if (keptBytes === 0 && sealedEnd.mayKeep(frameBytes)) keptBytes = frameBytes;
    return keptBytes > 0;
  };
  try {
    return await openFirst({ request, reply, sealedEnd, call, mayRead });
  } finally {
    sealedEnd.giveBack(keptBytes);
  }
}

/** Opens the first frame, and seals the answer from then on. True where the request has been answered. */
async function openFirst(of: {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly sealedEnd: SealedEnd;
  readonly call: SealedCall;
  readonly mayRead?: (frameBytes: number) => boolean;
}): Promise<boolean> {
  const { request, reply, sealedEnd, call, mayRead } = of;
  const found = await call.body.next(mayRead);
  request.sealedCall = call;
  if (found.kind === 'later') return false;
  const opened =
    found.kind === 'end' ? ({ kind: 'unopenable' } as const) : await sealedEnd.open(bytesOfHex(call.encapsulatedKey), found.frame);
  if (opened.kind === 'unopenable') {
    sealedEnd.count('refused');
    throw unopenable();
  }
  if (opened.kind === 'stale') {
    sealedEnd.count('stale');
    reply.code(422).header('content-type', 'application/problem+json').header('x-request-id', request.id).send(STALE);
    return true;
  }
  sealAnswer(reply.raw, await opened.context.answer());
  request.sealedCall = { ...call, opened };
  return false;
}

/** What the whole body says, once its caller is known; null where the request has been answered. */
async function openRest(request: FastifyRequest, reply: FastifyReply, { sealedEnd }: SealedDeps): Promise<Readable | null> {
  const call = request.sealedCall;
  if (call !== null && call.opened === null && (await openFirst({ request, reply, sealedEnd, call }))) return null;
  const { encapsulatedKey, body, opened } = request.sealedCall ?? {};
  if (encapsulatedKey === undefined || body === undefined || opened === undefined || opened === null) throw unopenable();
  if (!sealedEnd.isNew(encapsulatedKey)) {
    sealedEnd.count('replayed');
    throw unopenable();
  }
  sealedEnd.count('opened');
  // From here on the body is what was sealed, whose length nobody has told.
  delete request.raw.headers['content-length'];
  request.raw.headers['transfer-encoding'] ??= 'chunked';
  return body.opened(opened.plaintext, opened.context);
}
