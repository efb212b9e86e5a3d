import OpenAI, { toFile } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { CAP, eventually, KEY, startGateway, type Gateway } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

/** OpenAI's own client, unmodified, over real HTTP, for every endpoint beside chat and embeddings. */
let client: OpenAI;
let gateway: Gateway;
let upstream: OpenAiServer;

afterEach(async () => {
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const tools = [
  {
    type: 'function' as const,
    name: 'weather',
    description: 'The weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    strict: false,
  },
];

/** A second of silence: 8000 samples of eight bits. */
function silence(): Buffer {
  const sound = Buffer.alloc(8044, 128);
  sound.write('RIFF', 0);
  sound.writeUInt32LE(8000, 28);
  return sound;
}

const spent = (): bigint => gateway.account(CAP).spent;
const held = (): bigint => gateway.account(CAP).reserved;

describe.each(['an upstream', 'demo'] as const)('over %s', (kind) => {
  async function begin(): Promise<void> {
    upstream = await startOpenAiServer();
    gateway = await startGateway(
      kind === 'demo'
        ? { upstreamUrls: ['demo'], model: { upstreams: [{ id: 'u1', model: 'demo-echo' }] } }
        : { upstreamUrls: [upstream.url] },
    );
    client = new OpenAI({ apiKey: KEY, baseURL: gateway.url, maxRetries: 0 });
  }

  test('a completion, whole and streamed, is metered as its usage says', async () => {
    await begin();
    const answer = await client.completions.create({ model: 'm1', prompt: 'hello there', max_tokens: 20 });
    expect(answer.choices[0]?.text).toContain('hello there');
    const total = BigInt(answer.usage?.total_tokens ?? 0);
    expect(spent()).toBe(total);
    let text = '';
    for await (const chunk of await client.completions.create({ model: 'm1', prompt: 'hello there', max_tokens: 20, stream: true })) {
      expect(chunk.choices).toHaveLength(1);
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toContain('hello there');
    expect(spent()).toBe(total * 2n);
    expect(gateway.ledger.usage.map(({ route, estimated }) => ({ route, estimated }))).toEqual([
      { route: '/completions', estimated: false },
      { route: '/completions', estimated: false },
    ]);
  });

  test('a response, whole and streamed, is metered as its usage says', async () => {
    await begin();
    const answer = await client.responses.create({ model: 'm1', input: 'hello there', instructions: 'Be brief.' });
    expect(answer.output_text).toContain('hello there');
    expect(spent()).toBe(BigInt(answer.usage?.total_tokens ?? 0));
    expect(held()).toBe(0n);
    const types: string[] = [];
    let total = 0;
    let text = '';
    for await (const event of await client.responses.create({ model: 'm1', input: 'hello there', stream: true })) {
      types.push(event.type);
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.completed') total = event.response.usage?.total_tokens ?? 0;
    }
    expect(types[0]).toBe('response.created');
    expect(types.at(-1)).toBe('response.completed');
    expect(text).toContain('hello there');
    expect(total).toBeGreaterThan(0);
    expect(spent()).toBe(BigInt((answer.usage?.total_tokens ?? 0) + total));
    expect(gateway.ledger.usage[1]).toMatchObject({ route: '/responses', streaming: true, estimated: false });
  });

  test('a response that its limit cuts off is incomplete, and used no more than the limit', async () => {
    await begin();
    const answer = await client.responses.create({ model: 'm1', input: 'one two three four five six seven eight', max_output_tokens: 5 });
    expect(answer.status).toBe('incomplete');
    expect(answer.usage?.output_tokens).toBeLessThanOrEqual(5);
    const events: string[] = [];
    const request = { model: 'm1', input: 'one two three four five six seven eight', max_output_tokens: 5, stream: true as const };
    for await (const event of await client.responses.create(request)) events.push(event.type);
    expect(events.at(-1)).toBe('response.incomplete');
    expect(spent()).toBe(BigInt(answer.usage?.total_tokens ?? 0) * 2n);
  });

  test('a tool is called, and its answer is taken back', async () => {
    await begin();
    const answer = await client.responses.create({ model: 'm1', input: 'weather in Bern', tools, tool_choice: 'required' });
    const [call] = answer.output;
    if (call?.type !== 'function_call') throw new Error('no tool was called');
    expect(call.name).toBe('weather');
    const told = await client.responses.create({
      model: 'm1',
      previous_response_id: answer.id,
      input: [{ type: 'function_call_output', call_id: call.call_id, output: 'sunny' }],
      tools,
    });
    expect(told.output_text).toContain('sunny');
    const whole = client.responses.stream({ model: 'm1', input: 'weather in Bern', tools, tool_choice: 'required' });
    const final = await whole.finalResponse();
    expect(final.output[0]).toMatchObject({ type: 'function_call', name: 'weather' });
    const totals = [answer, told, final].map(({ usage }) => usage?.total_tokens ?? 0);
    expect(spent()).toBe(BigInt(totals.reduce((sum, total) => sum + total, 0)));
  });

  test('a stored response can be got, listed, built on and deleted, and none of it but building on it costs', async () => {
    await begin();
    const first = await client.responses.create({ model: 'm1', input: 'hello there' });
    const paid = spent();
    expect((await client.responses.retrieve(first.id)).output_text).toBe(first.output_text);
    let replayed = 0;
    for await (const event of await client.responses.retrieve(first.id, { stream: true })) {
      if (event.type === 'response.completed') replayed = event.response.usage?.total_tokens ?? 0;
    }
    expect(replayed).toBe(first.usage?.total_tokens);
    const items = await client.responses.inputItems.list(first.id, { order: 'asc', limit: 10 });
    expect(items.data[0]).toMatchObject({ role: 'user', content: 'hello there' });
    expect(spent()).toBe(paid);
    const second = await client.responses.create({ model: 'm1', input: 'and again', previous_response_id: first.id });
    expect(second.usage?.input_tokens).toBeGreaterThan(first.usage?.total_tokens ?? Infinity);
    expect(spent()).toBe(paid + BigInt(second.usage?.total_tokens ?? 0));
    await expect(client.responses.cancel(first.id)).rejects.toThrow(OpenAI.BadRequestError);
    await client.responses.delete(first.id);
    await expect(client.responses.retrieve(first.id)).rejects.toThrow(OpenAI.NotFoundError);
    await expect(client.responses.create({ model: 'm1', input: 'x', previous_response_id: first.id })).rejects.toThrow(
      OpenAI.NotFoundError,
    );
    expect(gateway.ledger.usage).toHaveLength(2);
  });

  test('a response that is not stored cannot be got', async () => {
    await begin();
    const answer = await client.responses.create({ model: 'm1', input: 'hello there', store: false });
    await expect(client.responses.retrieve(answer.id)).rejects.toThrow(OpenAI.NotFoundError);
    expect(gateway.ledger.upstreamObjects.size).toBe(0);
  });

  test('a response in the background can be got at once, and is metered when it has ended', async () => {
    await begin();
    const queued = await client.responses.create({ model: 'm1', input: 'hello there', background: true });
    expect(queued.status).toBe('queued');
    expect(['queued', 'in_progress', 'completed']).toContain((await client.responses.retrieve(queued.id)).status);
    await eventually(() => gateway.ledger.usage.length).toBe(1);
    const ended = await client.responses.retrieve(queued.id);
    expect(ended.status).toBe('completed');
    expect(ended.output_text).toContain('hello there');
    expect(spent()).toBe(BigInt(ended.usage?.total_tokens ?? 0));
    expect(held()).toBe(0n);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: false, interrupted: false });
  });

  test('input tokens are counted for nothing', async () => {
    await begin();
    const counted = await client.responses.inputTokens.count({ model: 'm1', input: 'hello there' });
    expect(counted.object).toBe('response.input_tokens');
    const answer = await client.responses.create({ model: 'm1', input: 'hello there' });
    expect(answer.usage?.input_tokens).toBe(counted.input_tokens);
    const chat = await client.post<{ input_tokens: number }>('/chat/completions/input_tokens', {
      body: { model: 'm1', messages: [{ role: 'user', content: 'hello there' }] },
    });
    expect(chat.input_tokens).toBeGreaterThan(0);
    expect(gateway.ledger.usage).toHaveLength(1);
    expect(spent()).toBe(BigInt(answer.usage?.total_tokens ?? 0));
  });

  test('a transcription, whole, streamed and as plain text', async () => {
    await begin();
    const file = await toFile(silence(), 'silence.wav', { type: 'audio/wav' });
    const answer = await client.audio.transcriptions.create({ model: 'm1', file, prompt: 'castle', language: 'en' });
    expect(answer.text).toContain('8044 bytes of sound');
    if (answer.usage?.type !== 'tokens') throw new Error('no tokens');
    expect(spent()).toBe(BigInt(answer.usage.total_tokens));
    let streamed = '';
    for await (const event of await client.audio.transcriptions.create({ model: 'm1', file, stream: true })) {
      if (event.type === 'transcript.text.delta') streamed += event.delta;
    }
    expect(streamed).toBe(answer.text);
    expect(gateway.ledger.usage[1]).toMatchObject({ streaming: true, estimated: false });
    const before = spent();
    const text: unknown = await client.audio.transcriptions.create({ model: 'm1', file, response_format: 'text' });
    expect(text).toBe(`${answer.text}\n`);
    expect(gateway.ledger.usage[2]).toMatchObject({ promptTokens: 0, completionTokens: 0, requests: 1, estimated: false });
    expect(spent()).toBe(before);
    const verbose = await client.audio.transcriptions.create({ model: 'm1', file, response_format: 'verbose_json' });
    expect(verbose.duration).toBe(1);
    expect(gateway.ledger.usage[3]).toMatchObject({ promptTokens: 0, media: { unit: 'seconds', quantity: 1 } });
  });

  test('speech is sound that can be played, and counts its characters', async () => {
    await begin();
    const answer = await client.audio.speech.create({ model: 'm1', voice: 'alloy', input: 'Open the gate! 😀', response_format: 'wav' });
    const sound = Buffer.from(await answer.arrayBuffer());
    expect(sound.toString('latin1', 0, 4)).toBe('RIFF');
    expect(sound.readUInt32LE(4)).toBe(sound.length - 8);
    expect(answer.headers.get('content-type')).toBe('audio/wav');
    expect(gateway.ledger.usage[0]).toMatchObject({
      route: '/audio/speech',
      requests: 1,
      promptTokens: 0,
      completionTokens: 0,
      estimated: false,
      media: { unit: 'characters', quantity: 16 },
    });
    const events = await client.audio.speech.create({
      model: 'm1',
      voice: 'alloy',
      input: 'Open!',
      response_format: 'wav',
      stream_format: 'sse',
    });
    expect(await events.text()).toContain('speech.audio.done');
    expect(gateway.ledger.usage[1]?.completionTokens).toBeGreaterThan(0);
    expect(gateway.ledger.usage[1]).toMatchObject({ streaming: true, estimated: false });
  });

  test('images are images, and are counted', async () => {
    await begin();
    const answer = await client.images.generate({ model: 'm1', prompt: 'a castle', n: 2 });
    expect(answer.data).toHaveLength(2);
    for (const { b64_json: image } of answer.data ?? []) expect(Buffer.from(image ?? '', 'base64').toString('latin1', 1, 4)).toBe('PNG');
    expect(spent()).toBe(BigInt(answer.usage?.total_tokens ?? 0));
    expect(gateway.ledger.usage[0]).toMatchObject({ route: '/images/generations', media: { unit: 'images', quantity: 2 } });
    for await (const event of await client.images.generate({ model: 'm1', prompt: 'a castle', stream: true })) {
      expect(event.type).toBe('image_generation.completed');
    }
    expect(gateway.ledger.usage[1]).toMatchObject({ streaming: true, estimated: false, media: { unit: 'images', quantity: 1 } });
  });

  test('embeddings come as base64 where that is asked for', async () => {
    await begin();
    const asked = { model: 'm1', input: 'a tower' };
    const numbers = await client.embeddings.create({ ...asked, encoding_format: 'float' });
    const text = await client.embeddings.create({ ...asked, encoding_format: 'base64' });
    const encoded = text.data[0]?.embedding as unknown as string;
    const floats = new Float32Array(Uint8Array.from(Buffer.from(encoded, 'base64')).buffer);
    expect([...floats]).toEqual(numbers.data[0]?.embedding.map((value) => Math.fround(value)));
  });
});
