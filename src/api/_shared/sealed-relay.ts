import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { SealedCallRequest } from '../../app/calls/sealed-call.ts';
import { MAX_AHEAD_BYTES } from '../../app/calls/plan-sealed.ts';
import type { ReadAhead } from '../../app/calls/read-ahead.ts';
import { CallerLeft } from '../../app/calls/sealed-call.ts';
import type { CallRefusal } from '../../app/calls/call-types.ts';
import type { Calls } from '../../app/relay-call.ts';
import type { InferenceKind } from '../../core/bounds/inference-request.ts';
import { ENCAPSULATED_KEY_HEADER, ENCLAVE_URL_HEADER, isEncapsulatedKey, SEALED_MODEL_HEADER } from '../../core/sealed/protocol.ts';
import { HttpSink } from './http-sink.ts';
import { maxSealedBytes, tooLarge } from './sealed-body.ts';

/** A route whose sealed requests are relayed: what it asks for, and its path below `/v1`. `onlyCounts`: it runs no model. */
export interface SealedRoute {
  readonly kind: InferenceKind;
  readonly route: string;
  readonly onlyCounts?: boolean;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Where a request whose body is sealed for an upstream goes; absent where none is relayed. */
    readonly sealedRoute?: SealedRoute;
  }
}

/** What relaying sealed requests needs of its surface. */
export interface SealedRelayDeps {
  readonly calls: Pick<Calls, 'relaySealed'>;
  readonly maxBodyBytes: number;
  /** Whom the request acts as; asked once it is authenticated. */
  readonly principalOf: (request: FastifyRequest) => Pick<SealedCallRequest, 'key' | 'tenant'>;
  /** Answers a refused call in the surface's form. */
  readonly refuse: (request: FastifyRequest, reply: FastifyReply, refusal: CallRefusal) => FastifyReply;
}

/**
 * Lets every route of `app` with a `sealedRoute` take requests that name an upstream: their bodies are sealed for it, and pass. They are
 * taken before the body is read, once the caller is known.
 *
 * Refuses with 400, in the surface's form, an address that is not declared and a body that is not sealed (each naming its header); with 413 a
 * body that is longer than `maxBodyBytes` can be when it is sealed. Source: Tinfoil reference, section 6, "Relay".
 */
export function relaySealedCalls(app: FastifyInstance, deps: SealedRelayDeps): void {
  app.addHook('preParsing', (request, reply, payload, done) => {
    const { sealedRoute } = request.routeOptions.config;
    if (sealedRoute === undefined || request.headers[ENCLAVE_URL_HEADER] === undefined) return done(null, payload);
    relay(request, reply, { ...deps, ...sealedRoute }).catch(done);
  });
}

async function relay(request: FastifyRequest, reply: FastifyReply, deps: SealedRelayDeps & SealedRoute): Promise<void> {
  const { headers } = request;
  const body = bodyOf(request, maxSealedBytes(deps.maxBodyBytes));
  reply.raw.once('close', body.release);
  const refuse = (param: string, message: string): void =>
    void deps.refuse(request, reply, { kind: 'invalid', defect: { param, code: 'invalid_value', message } });
  if (!isEncapsulatedKey(headers[ENCAPSULATED_KEY_HEADER]) || !hasBody(request))
    return refuse(
      ENCAPSULATED_KEY_HEADER,
      'Ehbp-Encapsulated-Key must be 64 hex digits beside a sealed body where X-Tinfoil-Enclave-Url is sent.',
    );
  const length = headers['content-length'];
  if (length !== undefined && Number(length) > maxSealedBytes(deps.maxBodyBytes)) throw tooLarge();
  const bodyBytes = length === undefined ? null : Number(length);
  let ahead: ReadAhead | null;
  try {
    ahead = bodyBytes !== null && bodyBytes <= MAX_AHEAD_BYTES ? await readWhole(request) : null;
  } catch (error) {
    if (error instanceof CallerLeft) return void reply.hijack();
    throw error;
  }
  const outcome = await deps.calls.relaySealed({
    ...deps.principalOf(request),
    requestId: request.id,
    kind: deps.kind,
    route: deps.route,
    onlyCounts: deps.onlyCounts === true,
    headers,
    enclaveUrl: String(headers[ENCLAVE_URL_HEADER]),
    model: modelOf(headers[SEALED_MODEL_HEADER]),
    bodyBytes,
    ...(ahead === null ? {} : { ahead }),
    body: body.pieces,
    sink: new HttpSink(reply),
  });
  if (outcome.kind === 'answered') reply.hijack();
  else deps.refuse(request, reply, outcome);
}

/** The model that the caller names; one that is named twice comes as a list of both, which is the name of none. */
const modelOf = (value: string | readonly string[] | undefined): string | null => (value === undefined ? null : String(value));

const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** All of a body that is small: by events, which cost a third of what an iterator does. */
function readWhole({ raw }: FastifyRequest): Promise<ReadAhead> {
  return new Promise((resolve, reject) => {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    raw.on('data', (piece: Uint8Array) => {
      pieces.push(piece);
      bytes += piece.length;
    });
    raw.once('end', () => resolve({ pieces, bytes, isWhole: true }));
    raw.once('close', () => reject(new CallerLeft()));
    raw.once('error', (cause) => reject(new CallerLeft({ cause })));
  });
}

/**
 * The body as it comes, of at most so many bytes. `release` lets go of it: whatever is left is thrown away, so that the connection can be used
 * again by a caller whose answer came before its body was whole.
 */
function bodyOf({ raw }: FastifyRequest, maxBytes: number): { readonly pieces: AsyncIterator<Uint8Array>; readonly release: () => void } {
  let reading: AsyncIterator<Uint8Array> | null = null;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    reading = raw.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>;
    let bytes = 0;
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await reading.next();
      } catch (error) {
        throw new CallerLeft({ cause: error });
      }
      if (next.done === true) return;
      bytes += next.value.length;
      if (bytes > maxBytes) throw tooLarge();
      yield next.value;
    }
  }
  const resume = (): void => void raw.resume();
  // An iterator listens for what can be read, and a stream with such a listener does not flow.
  const release = (): void => void (reading === null ? resume() : reading.return?.().then(resume, resume));
  return { pieces: pieces(), release };
}
