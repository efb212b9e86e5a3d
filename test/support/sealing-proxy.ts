import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beginSealed, fetchSealedKey, type SealedMessage } from './sealed-message.ts';

/** Headers that belong to one connection, and those of the seal. */
const OF_THE_WAY = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'host', 'ehbp-response-nonce', 'trailer']);

/** Where sealed requests go: the server that relays or opens them and, where it relays, the enclave that they are sealed for. */
export interface SealingTarget {
  readonly origin: () => string;
  readonly enclave?: () => string;
}

/** A server that stands before a program that seals nothing, and seals every body for it. */
export interface SealingProxy {
  readonly origin: string;
  /** Answers that came sealed, and those that did not. */
  readonly counted: { sealed: number; plain: number };
  close(): Promise<void>;
}

/**
 * Starts a proxy on a free port of 127.0.0.1 that seals what it is sent and opens what it is answered, so that suites which know nothing of seals
 * run through sealed calls. Whoever breaks off on one side is broken off on the other; each frame goes on when it came, as a piece of its own.
 */
export async function startSealingProxy(target: SealingTarget): Promise<SealingProxy> {
  const agent = new Agent({ keepAlive: true });
  const keys = new Map<string, Uint8Array>();
  const counted = { sealed: 0, plain: 0 };
  const keyOf = async (origin: string): Promise<Uint8Array> => {
    const known = keys.get(origin) ?? (await fetchSealedKey(origin));
    keys.set(origin, known);
    return known;
  };

  const forward = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const enclave = target.enclave?.();
    const message = body.length === 0 ? null : await beginSealed(await keyOf(enclave ?? target.origin()));
    const sealed = message === null ? null : await message.seal(body);
    const headers = Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => !OF_THE_WAY.has(name)));
    const sent = httpRequest(`${target.origin()}${incoming.url}`, {
      method: incoming.method ?? 'POST',
      agent,
      headers: {
        ...headers,
        ...(message === null ? {} : { 'ehbp-encapsulated-key': message.encapsulatedKey }),
        ...(enclave === undefined ? {} : { 'x-tinfoil-enclave-url': enclave }),
      },
    });
    outgoing.on('close', () => void (outgoing.writableFinished || sent.destroy()));
    sent.on('error', () => outgoing.destroy());
    sent.on('response', (answer) => void passBack(answer, outgoing, message).catch(() => outgoing.destroy()));
    if (sealed !== null) sent.write(sealed);
    sent.end();
  };

  const passBack = async (answer: IncomingMessage, outgoing: ServerResponse, message: SealedMessage | null): Promise<void> => {
    const nonce = answer.headers['ehbp-response-nonce'];
    const headers = Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !OF_THE_WAY.has(name)));
    const trailer = answer.headers.trailer;
    outgoing.writeHead(answer.statusCode ?? 500, { ...headers, ...(trailer === undefined ? {} : { trailer }) });
    // An answer that breaks off at once has a head all the same.
    outgoing.flushHeaders();
    const isSealed = nonce !== undefined && message !== null;
    counted[isSealed ? 'sealed' : 'plain'] += 1;
    const opener = isSealed ? await message.opener(String(nonce)) : null;
    for await (const piece of answer) {
      const opened = opener === null ? [piece as Buffer] : await opener(piece as Buffer);
      for (const each of opened) outgoing.write(each);
    }
    if (Object.keys(answer.trailers).length > 0) outgoing.addTrailers(answer.trailers);
    outgoing.end();
  };

  const server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => undefined);
    forward(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    counted,
    close: async () => {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
