import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256, AEAD_AES_256_GCM } from 'hpke';
import { deriveResponseKeys, encryptChunk, hexToBytes } from 'ehbp';
import { encodeKeyConfig } from '../../src/core/sealed/key-config.ts';
import { frameOf } from './sealed-message.ts';

const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
const utf8 = new TextEncoder();

/** A request as the enclave saw it: what came on the wire, and what it says. */
export interface EnclaveRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly wire: Buffer;
  readonly text: string;
}

/** What the enclave answers a request with. */
export interface EnclaveAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Each is sealed as a frame of its own and sent at once. */
  readonly frames?: Iterable<string> | AsyncIterable<string>;
  /** Sent as it is, unsealed, instead of frames. */
  readonly plain?: string;
  /** The value of the usage header, or with `inTrailer` of the usage trailer. */
  readonly usage?: string;
  readonly inTrailer?: boolean;
  /** Breaks the connection after the frames. */
  readonly breaks?: boolean;
}

/** A server that opens sealed requests with the cryptography of the client library, and answers as a test says. */
export interface Enclave {
  readonly origin: string;
  /** What `/.well-known/hpke-keys` tells. */
  readonly config: Uint8Array;
  readonly received: EnclaveRequest[];
  answer: (request: EnclaveRequest) => EnclaveAnswer | Promise<EnclaveAnswer>;
  /** Called when the head of a request came, before its body. */
  onHead: (() => void) | null;
  readonly aborted: () => number;
  close(): Promise<void>;
}

/** Starts an enclave on a free port of 127.0.0.1. */
export async function startEnclave(): Promise<Enclave> {
  const pair = await suite.GenerateKeyPair();
  const config = encodeKeyConfig(new Uint8Array(await suite.SerializePublicKey(pair.publicKey)));
  const received: EnclaveRequest[] = [];
  let aborted = 0;
  const server = createServer((request, response) => {
    request.on('error', () => void (aborted += 1));
    response.on('error', () => undefined);
    if (request.url === '/.well-known/hpke-keys') return void response.setHeader('content-type', 'application/ohttp-keys').end(config);
    enclave.onHead?.();
    void serve(request, response).catch(() => response.destroy());
  });

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const wire = Buffer.concat(pieces);
    const enc = hexToBytes(String(request.headers['ehbp-encapsulated-key']));
    const context = await suite.SetupRecipient(pair.privateKey, enc, { info: utf8.encode('ehbp request') });
    let text = '';
    for (let at = 0; at < wire.length;) {
      const length = wire.readUInt32BE(at);
      text += Buffer.from(await context.Open(wire.subarray(at + 4, at + 4 + length))).toString();
      at += 4 + length;
    }
    const seen = { path: request.url ?? '', headers: request.headers, wire, text };
    received.push(seen);
    const { status = 200, headers = {}, frames = ['{}'], plain, usage, inTrailer = false, breaks = false } = await enclave.answer(seen);
    const nonce = crypto.getRandomValues(new Uint8Array(32));
    const keys = await deriveResponseKeys(new Uint8Array(await context.Export(utf8.encode('ehbp response'), 32)), enc, nonce);
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(plain === undefined ? { 'ehbp-response-nonce': Buffer.from(nonce).toString('hex') } : {}),
      ...(usage === undefined ? {} : inTrailer ? { trailer: 'X-Tinfoil-Usage-Metrics' } : { 'x-tinfoil-usage-metrics': usage }),
      ...headers,
    });
    if (plain !== undefined) return void response.end(plain);
    let index = 0;
    for await (const frame of frames) {
      const sealed = await encryptChunk(keys, index++, utf8.encode(frame));
      response.write(frameOf(sealed));
    }
    if (breaks) return void setTimeout(() => response.destroy(), 20);
    if (usage !== undefined && inTrailer) response.addTrailers({ 'x-tinfoil-usage-metrics': usage });
    response.end();
  };

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const enclave: Enclave = {
    origin: `http://127.0.0.1:${port}`,
    config,
    received,
    answer: () => ({}),
    onHead: null,
    aborted: () => aborted,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return enclave;
}
