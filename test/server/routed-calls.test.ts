import { afterAll, expect, test } from 'vitest';
import { SPEEDS_SETTING } from '../../src/core/access/decide-speeds.ts';
import type { Running } from '../../src/server/boot.ts';
import { makeTestFolder } from './in-process.ts';

const folder = makeTestFolder();
afterAll(() => folder.dispose());

const FILE = `
upstreams:
  - { id: ours, kind: demo, provider: scaleway, eu_native: true, retention_days: 0 }
models:
  - { id: echo, upstreams: [{ id: demo, model: demo-echo }, { id: ours, model: demo-echo, context_tokens: 4000, max_output_tokens: 300 }], price: { input_per_1m: 1, output_per_1m: 2 } }
`;

interface Traced {
  readonly metadata: {
    readonly routing_results: { readonly selected_upstream: string };
    readonly routing_trace: {
      readonly scored_candidates: readonly { readonly scoring_context: { readonly estimated_time_ms: number | null } }[];
    };
  };
}

async function call({ listeners, prepared }: Running, fields: object): Promise<{ readonly status: number; readonly body: Traced }> {
  const answer = await fetch(`${listeners.runtime.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${prepared.credentials.management_key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'echo', max_tokens: 5, messages: [{ role: 'user', content: 'hello' }], ...fields }),
  });
  return { status: answer.status, body: (await answer.json()) as Traced };
}

const timesOf = ({ body }: { readonly body: Traced }): (number | null)[] =>
  body.metadata.routing_trace.scored_candidates.map(({ scoring_context: context }) => context.estimated_time_ms);

const putSettings = ({ listeners, prepared }: Running, inference: object, allowOverwrite: boolean): Promise<Response> =>
  fetch(`${listeners.runtime.origin}/manage/project-configs`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${prepared.credentials.management_key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      inference_config: inference,
      allow_overwrite: allowOverwrite,
      created_at: '2026-01-01T00:00:00Z',
      updated_at: '2026-01-01T00:00:00Z',
    }),
  });

test('settings hold from the next call on, and what was measured outlives a restart', async () => {
  const first = await folder.start({ yaml: FILE });
  const operator = await fetch(`${first.listeners.admin.origin}/v1/x-castellan/models/echo`, {
    headers: { 'x-admin-api-key': first.prepared.credentials.operator_key },
  });
  expect(await operator.json()).toMatchObject({
    upstreams: [
      { id: 'demo', model: 'demo-echo' },
      { id: 'ours', model: 'demo-echo', context_tokens: 4000, max_output_tokens: 300 },
    ],
  });
  const asked = { preference: 'speed', include_metadata: true };
  expect(timesOf(await call(first, asked))).toEqual([null, null]);
  expect((await putSettings(first, { eu_native: true, include_metadata: true, preference: 'speed' }, false)).status).toBe(200);
  const held = await call(first, { eu_native: false, preference: 'cost' });
  expect(held.body.metadata.routing_results.selected_upstream).toBe('ours');
  const seen = await fetch(`${first.listeners.admin.origin}/v1/x-castellan/upstreams/ours`, {
    headers: { 'x-admin-api-key': first.prepared.credentials.operator_key },
  });
  expect(await seen.json()).toMatchObject({
    speeds: [{ model: 'echo', first_token_ms: expect.any(Number) as number, tokens_per_second: expect.any(Number) as number }],
  });
  await first.stop();

  const kept = await folder.withStore((store) => store.record('setting', SPEEDS_SETTING));
  expect(Object.keys(kept?.value as object).toSorted()).toEqual(['demo echo', 'ours echo']);
  const generation = await folder.withStore((store) => store.generation());

  const second = await folder.start({ yaml: FILE });
  await second.stop();
  expect(await folder.withStore((store) => store.generation())).toBe(generation);

  const third = await folder.start({ yaml: FILE });
  expect(timesOf(await call(third, {}))).toEqual([expect.any(Number)]);
  await third.stop();
});

test.each([
  ['context_tokens: 4000', 'context_tokens: 200000', "upstreams[1].context_tokens must be at most the model's context_tokens (131072)"],
  ['max_output_tokens: 300', 'max_output_tokens: 200000', "upstreams[1].max_output_tokens must be at most the model's max_output_tokens"],
])('an upstream that declares more than its model stops the start: %s', async (good, bad, message) => {
  await expect(folder.start({ yaml: FILE.replace(good, bad) })).rejects.toThrow(message);
});
