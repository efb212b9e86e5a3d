import OpenAI, { toFile } from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey } from '../support/control-plane.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readAccounts, type TestStore } from '../support/store-reader.ts';
import { TEST_MODEL, testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

const SPEAKER = 'test-speaker';
/** A model that costs nothing but what is said, heard and painted. */
const MEDIA_MODEL = `  - id: ${SPEAKER}
    upstreams: [{ id: own, model: ${SPEAKER} }]
    price: { input_per_1m: 0, output_per_1m: 0, per_second: 0.0001, per_1m_characters: 15, per_image: 0.04 }
    max_audio_seconds: 60
    max_audio_tokens: 1000
    max_output_tokens: 4096
`;

interface Used {
  readonly prompt: number;
  readonly completion: number;
  readonly requests: number;
  readonly cost: number;
}

/** Defines the tests of the unmodified `openai` client for the endpoints beside chat and embeddings, against one store. */
export function testEndpoints(makeStore: () => Promise<TestStore>): void {
  let model: OpenAiServer;
  let server: TestServer;
  let client: HttpClient;
  let control: ControlPlane;
  let key: MadeKey;
  let openai: OpenAI;
  let made = 0;

  beforeAll(async () => {
    model = await startOpenAiServer();
    server = await startServer({ store: await makeStore(), config: testConfig(model.url, MEDIA_MODEL) });
    client = makeHttpClient();
    control = makeControlPlane(server, client);
  });

  afterAll(async () => {
    await client.close();
    await server.dispose();
    await model.close();
  });

  beforeEach(async () => {
    made += 1;
    key = await control.makeKey(control.firstTenant(), { name: `endpoints ${made}`, maxTokens: 10_000_000 });
    await control.setKeyBudget(key.id, 1_000_000_000n);
    openai = new OpenAI({ apiKey: key.key, baseURL: `${server.runtime}/v1`, maxRetries: 0 });
  });

  afterEach(async () => {
    expect((await control.operator('POST', '/verify', {})).json<{ discrepancies: unknown[] }>().discrepancies).toEqual([]);
  });

  const accountsOfKey = async (): Promise<{ spent: bigint; reserved: bigint }[]> =>
    (await readAccounts(server.reader())).filter(({ scope }) => scope === `key:${key.id}`);

  /** The usage API, the token account and the money account tell the same, exactly, and nothing is held any more. */
  const expectUsed = async (used: Used): Promise<void> => {
    await waitUntil(async () => (await accountsOfKey()).every(({ reserved }) => reserved === 0n));
    const answer = await control.asAdmin(control.firstTenant(), 'POST', '/api/billing/usage/key', { key: key.key });
    expect(answer.json()).toEqual({
      prompt_tokens: used.prompt,
      completion_tokens: used.completion,
      requests: used.requests,
      cost: used.cost,
    });
    const [tokens] = await accountsOfKey();
    expect(tokens?.spent).toBe(BigInt(used.prompt + used.completion));
  };
  const costOf = (prompt: number, completion: number): number => Number(BigInt(prompt) * 2000n + BigInt(completion) * 10_000n) / 1e9;

  test('responses: whole, streamed, stored, built on, deleted', async () => {
    const first = await openai.responses.create({ model: TEST_MODEL, input: 'Who keeps the keys?' });
    expect(first.output_text).toContain('Who keeps the keys?');
    let streamed: OpenAI.Responses.ResponseUsage | undefined;
    for await (const event of await openai.responses.create({ model: TEST_MODEL, input: 'And the gates?', stream: true })) {
      if (event.type === 'response.completed') streamed = event.response.usage;
    }
    expect((await openai.responses.retrieve(first.id)).id).toBe(first.id);
    expect((await openai.responses.inputItems.list(first.id)).data).toHaveLength(1);
    const next = await openai.responses.create({ model: TEST_MODEL, input: 'Go on.', previous_response_id: first.id });
    await openai.responses.delete(first.id);
    await expect(openai.responses.retrieve(first.id)).rejects.toThrow(OpenAI.NotFoundError);
    const usages = [first.usage, streamed, next.usage];
    const prompt = usages.reduce((sum, usage) => sum + (usage?.input_tokens ?? 0), 0);
    const completion = usages.reduce((sum, usage) => sum + (usage?.output_tokens ?? 0), 0);
    await expectUsed({ prompt, completion, requests: 3, cost: costOf(prompt, completion) });
  });

  test('a response of one tenant does not exist for another', async () => {
    const mine = await openai.responses.create({ model: TEST_MODEL, input: 'Mine.' });
    const other = await control.makeTenant(`stranger-${made}`);
    const strange = await control.makeKey(other, { name: 'stranger' });
    const stranger = openai.withOptions({ apiKey: strange.key });
    await expect(stranger.responses.retrieve(mine.id)).rejects.toThrow(OpenAI.NotFoundError);
    await expect(stranger.responses.delete(mine.id)).rejects.toThrow(OpenAI.NotFoundError);
    await expect(stranger.responses.create({ model: TEST_MODEL, input: 'x', previous_response_id: mine.id })).rejects.toThrow(
      OpenAI.NotFoundError,
    );
    expect((await openai.responses.retrieve(mine.id)).id).toBe(mine.id);
  });

  test('a response in the background is metered when it has ended', async () => {
    const queued = await openai.responses.create({ model: TEST_MODEL, input: 'Slowly.', background: true });
    let ended = queued;
    await waitUntil(async () => (ended = await openai.responses.retrieve(queued.id)).status === 'completed');
    const { input_tokens: prompt = 0, output_tokens: completion = 0 } = ended.usage ?? {};
    await waitUntil(async () => (await accountsOfKey()).every(({ reserved }) => reserved === 0n));
    await expectUsed({ prompt, completion, requests: 1, cost: costOf(prompt, completion) });
  });

  test('completions and counted input', async () => {
    const answer = await openai.completions.create({ model: TEST_MODEL, prompt: 'Once upon a time', max_tokens: 16 });
    expect((await openai.responses.inputTokens.count({ model: TEST_MODEL, input: 'free' })).input_tokens).toBeGreaterThan(0);
    const { prompt_tokens: prompt = 0, completion_tokens: completion = 0 } = answer.usage ?? {};
    await expectUsed({ prompt, completion, requests: 1, cost: costOf(prompt, completion) });
  });

  test('speech, a transcription of it, and an image, each at its own price', async () => {
    const spoken = await openai.audio.speech.create({ model: SPEAKER, voice: 'alloy', input: 'Open the gate!', response_format: 'wav' });
    const sound = Buffer.from(await spoken.arrayBuffer());
    const heard = await openai.audio.transcriptions.create({
      model: SPEAKER,
      file: await toFile(sound, 'gate.wav'),
      response_format: 'verbose_json',
    });
    // 14 characters of 20 ms each; a begun second is whole.
    expect(heard.duration).toBeCloseTo(0.28);
    const painted = await openai.images.generate({ model: SPEAKER, prompt: 'a gate', n: 2 });
    expect(painted.data).toHaveLength(2);
    const { input_tokens: prompt = 0, output_tokens: completion = 0 } = painted.usage ?? {};
    await expectUsed({ prompt, completion, requests: 3, cost: (14 * 15_000 + 100_000 + 2 * 40_000_000) / 1e9 });
  });
}
