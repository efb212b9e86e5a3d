import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM, CipherSuite } from 'hpke';
import { decryptChunk, deriveResponseKeys, hexToBytes } from 'ehbp';

const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
const utf8 = new TextEncoder();
const PUBLIC_KEY_AT = 3;
const KEY_BYTES = 32;

/** A frame of EHBP as it stands on the wire. */
export function frameOf(ciphertext: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(ciphertext.length);
  return Buffer.concat([head, ciphertext]);
}

/** One sealed call, frame by frame, as a client makes it; what opens its answer is the client library's own code. */
export interface SealedMessage {
  readonly encapsulatedKey: string;
  /** The next frame of the body. */
  seal(text: string | Uint8Array): Promise<Buffer>;
  /** What each frame of an answer says; throws where one does not open. */
  open(nonce: string, body: Uint8Array): Promise<Buffer[]>;
  /** Opens an answer as it comes: gives what the frames say that each piece of it ended. */
  opener(nonce: string): Promise<(piece: Uint8Array) => Promise<Buffer[]>>;
}

/** The key that the server at `origin` tells. */
export async function fetchSealedKey(origin: string): Promise<Uint8Array> {
  const answer = await fetch(`${origin}/.well-known/hpke-keys`);
  if (answer.status !== 200) throw new Error(`no key: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Begins a call for whoever told `config`. */
export async function beginSealed(config: Uint8Array): Promise<SealedMessage> {
  const publicKey = await suite.DeserializePublicKey(config.slice(PUBLIC_KEY_AT, PUBLIC_KEY_AT + KEY_BYTES));
  const { encapsulatedSecret, ctx } = await suite.SetupSender(publicKey, { info: utf8.encode('ehbp request') });
  const opener: SealedMessage['opener'] = async (nonce) => {
    const secret = await ctx.Export(utf8.encode('ehbp response'), KEY_BYTES);
    const keys = await deriveResponseKeys(secret, encapsulatedSecret, hexToBytes(nonce));
    let kept = Buffer.alloc(0);
    let index = 0;
    return async (piece) => {
      kept = Buffer.concat([kept, piece]);
      const opened: Buffer[] = [];
      while (kept.length >= 4 && kept.length >= 4 + kept.readUInt32BE(0)) {
        const length = kept.readUInt32BE(0);
        opened.push(Buffer.from(await decryptChunk(keys, index++, kept.subarray(4, 4 + length))));
        kept = kept.subarray(4 + length);
      }
      return opened;
    };
  };
  return {
    encapsulatedKey: Buffer.from(encapsulatedSecret).toString('hex'),
    seal: async (text) => frameOf(await ctx.Seal(typeof text === 'string' ? utf8.encode(text) : text)),
    opener,
    open: async (nonce, body) => {
      const open = await opener(nonce);
      let bytes = 0;
      for (let at = 0; at + 4 <= body.length; at = bytes) bytes = at + 4 + Buffer.from(body).readUInt32BE(at);
      if (bytes !== body.length) throw new Error('the answer ends within a frame');
      return open(body);
    },
  };
}

/** An answer as it came. `pieces` are the chunks of its body. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly pieces: readonly Buffer[];
  readonly body: Buffer;
}

/** What is sent: `body` in pieces, chunked unless `headers` tell its length. `onPiece` sees the answer as it comes. */
export interface RawPost {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  readonly onPiece?: (piece: Buffer) => void;
  readonly agent?: import('node:http').Agent;
}

/** Sends a POST, byte for byte. */
export function postRaw(url: string, { headers, body, onPiece, agent }: RawPost): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method: 'POST', headers, ...(agent === undefined ? {} : { agent }) }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        onPiece?.(piece);
      });
      response.on('end', () => {
        const { statusCode: status = 0, headers: told, trailers } = response;
        resolve({ status, headers: told, trailers, pieces, body: Buffer.concat(pieces) });
      });
      response.on('error', reject);
    });
    request.on('error', reject);
    const send = async (): Promise<void> => {
      // Told at once, so that the first piece is not joined with the head.
      request.flushHeaders();
      for await (const piece of body) if (!request.destroyed) request.write(piece);
      request.end();
    };
    send().catch(reject);
  });
}
