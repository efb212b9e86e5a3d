import { decryptChunk, deriveResponseKeys, encryptChunk, hexToBytes, type ResponseKeyMaterial } from 'ehbp';
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256 } from 'hpke';
import { FrameSplitter, frameHead } from '../../src/core/sealed/frames.ts';
import { REQUEST_INFO, TAG_BYTES } from '../../src/core/sealed/protocol.ts';
import type { SealedContext } from '../../src/ports/sealed-crypto.ts';
import { makeHpkeCrypto } from '../../src/sealed/hpke-crypto.ts';
import { jsonRequest, type LoadPlan } from '../support/load.ts';
import type { Row } from '../support/report.ts';
import { interleave } from '../support/rounds.ts';
import { median, rounded } from '../support/stats.ts';
import { withGateway } from './gateway.ts';

const MIB = 1_048_576;
/** What clients of the protocol send a body in, and what we cut answers into. */
const FRAME_BYTES = 65_536;

/** Sealed calls through the relay beside plain ones, through the same process to the same server, in one interleaved run. */
export async function sealedRelay(options: { readonly rounds: number; readonly durationMs: number }): Promise<Row[]> {
  return withGateway({}, async ({ upstream, ours }) => {
    const rows: Row[] = [];
    const headers = { 'ehbp-encapsulated-key': 'ab'.repeat(32), 'x-tinfoil-enclave-url': `http://127.0.0.1:${upstream.port}` };
    for (const isStream of [false, true]) {
      for (const clients of [1, 16, 32]) {
        const body = {
          model: 'bench',
          messages: [{ role: 'user', content: 'Say a few words about castles, please.' }],
          max_tokens: 64,
          ...(isStream ? { stream: true } : {}),
        };
        const planOf = (more: Readonly<Record<string, string>>): LoadPlan => ({
          port: ours.port,
          request: jsonRequest({ path: '/v1/chat/completions', bearer: ours.key, headers: more, body }),
          clients,
          durationMs: options.durationMs,
        });
        const { plain, sealed } = await interleave({ plain: planOf({}), sealed: planOf(headers) }, options.rounds);
        const time = (each: typeof plain): number => (isStream ? each.firstByteP50Ms : each.p50Ms);
        const what = isStream ? 'first byte' : 'answer';
        rows.push({
          what: `sealed relay, ${isStream ? 'stream' : 'no stream'}, ${clients} clients, SQLite`,
          ours: `${Math.round(sealed.rate)}/s, ${what} p50 ${rounded(time(sealed))} ms`,
          baseline: `plain relay ${Math.round(plain.rate)}/s, ${what} p50 ${rounded(time(plain))} ms`,
          ratio: `${rounded(sealed.rate / plain.rate)} of the rate, ${rounded(time(sealed) / time(plain))} of the time`,
          owed: 'within 0.1',
          notes: `errors ${sealed.errors + plain.errors}`,
        });
      }
    }
    return rows;
  });
}

/** What opening and sealing cost a MiB here, beside the libraries' own calls on the same frames, turn by turn. */
export async function sealedEnd(options: { readonly rounds: number }): Promise<Row[]> {
  const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
  const crypto = makeHpkeCrypto();
  const pair = await crypto.makeKeyPair();
  const receiver = await crypto.load(pair);
  const own = {
    publicKey: await suite.DeserializePublicKey(pair.publicKey),
    privateKey: await suite.DeserializePrivateKey(pair.privateKey, false),
  };
  const info = new TextEncoder().encode(REQUEST_INFO);
  const plain = new Uint8Array(FRAME_BYTES).fill(97);
  const times: Record<'opened' | 'libraryOpened' | 'sealed' | 'librarySealed', number[]> = {
    opened: [],
    libraryOpened: [],
    sealed: [],
    librarySealed: [],
  };
  const timed = async (name: keyof typeof times, work: () => Promise<void>): Promise<void> => {
    const start = performance.now();
    await work();
    times[name].push(performance.now() - start);
  };
  for (let round = 0; round < options.rounds; round++) {
    const { encapsulatedSecret, ctx } = await suite.SetupSender(own.publicKey, { info });
    const frames: Uint8Array[] = [];
    for (let at = 0; at < MIB; at += FRAME_BYTES) frames.push(await ctx.Seal(plain));
    const wire = Buffer.concat(frames.flatMap((frame) => [frameHead(frame.length), frame]));
    const context = (await receiver.receive(encapsulatedSecret)) as SealedContext;
    await timed('opened', async () => {
      const split = new FrameSplitter({ maxFrameBytes: FRAME_BYTES + TAG_BYTES }).push(wire);
      if (!split.ok) throw new Error('no frames');
      for (const frame of split.frames) if ((await context.open(frame)) === null) throw new Error('it does not open');
    });
    const library = await suite.SetupRecipient(own, encapsulatedSecret, { info });
    await timed('libraryOpened', async () => {
      for (const frame of frames) await library.Open(frame);
    });
    const sealer = await context.answer();
    await timed('sealed', async () => {
      for (let at = 0; at < MIB; at += FRAME_BYTES) sealer.seal(plain);
    });
    const secret = new Uint8Array(await library.Export(new TextEncoder().encode('ehbp response'), 32));
    const keys: ResponseKeyMaterial = await deriveResponseKeys(secret, encapsulatedSecret, hexToBytes(sealer.nonce));
    await timed('librarySealed', async () => {
      for (let index = 0; index * FRAME_BYTES < MIB; index++) await encryptChunk(keys, index, plain);
    });
    await decryptChunk(keys, 0, await encryptChunk(keys, 0, plain));
  }
  const row = (what: string, ours: readonly number[], theirs: readonly number[]): Row => ({
    what,
    ours: `${rounded(median(ours))} ms a MiB`,
    baseline: `the library’s own call ${rounded(median(theirs))} ms a MiB`,
    ratio: `${rounded(median(ours) / median(theirs))} of the time`,
    owed: 'stated',
    notes: `frames of ${FRAME_BYTES / 1024} KiB`,
  });
  return [row('a sealed body, opened', times.opened, times.libraryOpened), row('an answer, sealed', times.sealed, times.librarySealed)];
}
