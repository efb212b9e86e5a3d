import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createTransport, Identity, Transport } from 'ehbp';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { startEnclave, type Enclave } from '../support/enclave.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { findInMemory } from '../support/process-memory.ts';
import { beginSealed, postRaw } from '../support/sealed-message.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readAccounts, readState } from '../support/store-reader.ts';
import { waitUntil } from '../support/wait-until.ts';

const CEILING = 500;
const USAGE = 'prompt=11,completion=5,total=16,model=up';

let enclave: Enclave;
let server: TestServer;
let client: HttpClient;
let control: ControlPlane;

const chunk = (content: string): string =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'up', choices: [{ index: 0, delta: { content } }] })}\n\n`;

beforeAll(async () => {
  client = makeHttpClient();
  enclave = await startEnclave();
  const config = `
upstreams: [{ id: enclave, api_key: sk-of-the-enclave, sealed: { enclave_urls: ["${enclave.origin}"], max_output_tokens: ${CEILING} } }]
models: [{ id: hidden, upstreams: [{ id: enclave, model: up }], price: { input_per_1m: 1, output_per_1m: 2 } }]
`;
  server = await startServer({ store: { kind: 'sqlite' }, config });
  control = makeControlPlane(server, client);
});

afterAll(async () => {
  await client.close();
  await server.dispose();
  await enclave.close();
});

const makeKey = (name: string) => control.makeKey(control.firstTenant(), { name, maxTokens: 10_000_000 });

/** Everything below a folder, as bytes. */
function filesBelow(folder: string): Buffer[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [readFileSync(path)];
  });
}

describe('the client libraries, unmodified', () => {
  test('openai through its fetch option chats with an enclave behind this server, streaming and not', async () => {
    const { key } = await makeKey('sdk');
    const identity = await Identity.unmarshalPublicConfig(enclave.config);
    const transport = new Transport(identity, new URL(server.runtime).host);
    const openai = new OpenAI({
      baseURL: `${server.runtime}/v1`,
      apiKey: key,
      defaultHeaders: { 'X-Tinfoil-Enclave-Url': enclave.origin },
      fetch: (url, init) => transport.request(url, init),
    });
    enclave.answer = ({ text }) => {
      const { stream, messages } = JSON.parse(text) as { stream?: boolean; messages: { content: string }[] };
      const content = `you said ${messages[0]?.content}`;
      if (stream !== true)
        return { usage: USAGE, frames: [JSON.stringify({ id: 'c', choices: [{ index: 0, message: { role: 'assistant', content } }] })] };
      const frames = [...content.match(/.{1,3}/g)!.map(chunk), 'data: [DONE]\n\n'];
      return { usage: USAGE, inTrailer: true, headers: { 'content-type': 'text/event-stream' }, frames };
    };
    const messages = [{ role: 'user' as const, content: 'hello' }];
    const answer = await openai.chat.completions.create({ model: 'hidden', messages });
    expect(answer.choices[0]?.message.content).toBe('you said hello');
    let streamed = '';
    for await (const part of await openai.chat.completions.create({ model: 'hidden', messages, stream: true }))
      streamed += part.choices[0]?.delta.content ?? '';
    expect(streamed).toBe('you said hello');
    expect(enclave.received.at(-1)?.headers.authorization).toBe('Bearer sk-of-the-enclave');
  });

  test('and with this server as the end', async () => {
    const { key } = await makeKey('end');
    const transport = await createTransport(server.runtime);
    const openai = new OpenAI({ baseURL: `${server.runtime}/v1`, apiKey: key, fetch: (url, init) => transport.request(url, init) });
    const messages = [{ role: 'user' as const, content: 'hello' }];
    let streamed = '';
    for await (const part of await openai.chat.completions.create({ model: 'demo-echo', messages, stream: true }))
      streamed += part.choices[0]?.delta.content ?? '';
    expect(streamed).toContain('hello');
  });
});

test('what is sealed for an enclave is never in the memory of this process, nor in its logs, files or database', async () => {
  const { key } = await makeKey('canary');
  const [prompt, reply] = [randomBytes(24).toString('hex'), randomBytes(24).toString('hex')];
  enclave.answer = () => ({ usage: USAGE, inTrailer: true, frames: [chunk(reply), chunk(reply)] });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-tinfoil-enclave-url': enclave.origin };
  for (let call = 0; call < 20; call++) {
    const message = await beginSealed(enclave.config);
    const answer = await postRaw(`${server.runtime}/v1/chat/completions`, {
      headers: { ...headers, 'ehbp-encapsulated-key': message.encapsulatedKey },
      body: [await message.seal(JSON.stringify({ model: 'up', messages: [{ role: 'user', content: prompt }] }))],
    });
    expect(answer.status).toBe(200);
  }
  expect(enclave.received.at(-1)?.text).toContain(prompt);
  // That memory can be searched shows what is known to be in it.
  expect(findInMemory(server.pid, [prompt, reply, enclave.origin])).toEqual([enclave.origin]);
  const written = [...filesBelow(server.dataDir), Buffer.from(server.stdout()), Buffer.from(server.stderr())];
  for (const secret of [prompt, reply]) expect(written.some((bytes) => bytes.includes(secret))).toBe(false);
});

test('a call that a killed process leaves behind is booked by all that was held, as interrupted, and nothing stays held', async () => {
  const { key, id } = await makeKey('killed');
  const begun = Promise.withResolvers<void>();
  enclave.answer = () => ({
    usage: USAGE,
    inTrailer: true,
    frames: (async function* () {
      yield chunk('first');
      begun.resolve();
      await new Promise(() => undefined);
    })(),
  });
  const message = await beginSealed(enclave.config);
  const wire = await message.seal('{}');
  const calling = postRaw(`${server.runtime}/v1/chat/completions`, {
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'x-tinfoil-enclave-url': enclave.origin,
      'ehbp-encapsulated-key': message.encapsulatedKey,
    },
    body: [wire],
  });
  await begun.promise;
  const heldBy = async () => (await readAccounts(server.reader())).find(({ scope, unit }) => scope === `key:${id}` && unit === 'TOKENS');
  const held = (await heldBy())?.reserved;
  expect(held).toBe(BigInt(wire.length + 256 + CEILING));
  await Promise.all([server.kill(), expect(calling).rejects.toThrow(/aborted|hang up|ECONNRESET/)]);
  await server.start();
  await waitUntil(async () => (await heldBy())?.reserved === 0n);
  expect((await heldBy())?.spent).toBe(held);
  const { usage } = await readState(server.reader());
  expect(usage.filter(({ keyId }) => keyId === id)).toMatchObject([{ interrupted: true, estimated: true }]);
  await server.stop();
  expect((await server.verify()).discrepancies).toEqual([]);
});
