import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEY, priceOf, startGateway, type Gateway } from '../../support/gateway-harness.ts';

let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway();
  const model = gateway.models.get('m1');
  if (model === undefined) throw new Error('no model');
  gateway.models.set('org/m2', { ...model, id: 'org/m2', maxOutputTokens: 0, maxImageTokens: 100, tags: [] });
  gateway.prices.push(priceOf({ id: 'p3', cachedInputNanos: null, inputNanos: 300, requestNanos: 10_000_000, appliesFromMs: 5 }));
});

afterAll(async () => {
  await gateway.close();
});

const get = (path: string, headers: Record<string, string> = { authorization: `Bearer ${KEY}` }): Promise<Response> =>
  fetch(`${gateway.url}${path}`, { headers });

describe('200', () => {
  test('every model in OpenAI form, with its limits and the price that applies now', async () => {
    const answer = await get('/models');
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await answer.json()).toEqual({
      object: 'list',
      data: [
        {
          id: 'm1',
          object: 'model',
          created: 1795348800,
          owned_by: 'castellan',
          type: 'chat',
          multimodal: false,
          context_length: 8192,
          max_output_tokens: 2048,
          tags: ['Instruct'],
          pricing: { inputTokenPricePer1M: 0.3, outputTokenPricePer1M: 0.6, requestPrice: 0.01 },
        },
        {
          id: 'org/m2',
          object: 'model',
          created: 1795348800,
          owned_by: 'castellan',
          type: 'embedding',
          multimodal: true,
          context_length: 8192,
          max_output_tokens: 0,
          tags: [],
        },
      ],
    });
    expect(gateway.commands).toHaveLength(0);
  });

  test.each(['/models/org/m2', '/models/org%2Fm2'])('one model at %s', async (path) => {
    const answer = await get(path);
    expect(await answer.json()).toMatchObject({ id: 'org/m2', object: 'model' });
  });
});

describe('401', () => {
  test.each([{}, { authorization: 'Bearer tk_nobody' }])('without a key that somebody has', async (headers) => {
    expect((await get('/models', headers)).status).toBe(401);
    expect((await get('/models/m1', headers)).status).toBe(401);
  });
});

describe('404', () => {
  test('a model that does not exist', async () => {
    const answer = await get('/models/nobody');
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: { code: 'model_not_found', param: 'model' } });
  });
});
