import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEY, priceOf, startGateway, type Gateway } from '../../support/gateway-harness.ts';

let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway();
  const model = gateway.models.get('m1');
  if (model === undefined) throw new Error('no model');
  gateway.models.set('org/m2', { ...model, id: 'org/m2', maxOutputTokens: 1, maxImageTokens: 100, tags: ['Embedding'] });
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
          description: null,
          context_length: 8192,
          context_size: 8192,
          max_output_tokens: 2048,
          providers: ['u1'],
          tags: ['Instruct'],
          pricing: {
            inputTokenPricePer1M: 0.3,
            outputTokenPricePer1M: 0.6,
            requestPrice: 0.01,
            input_token: 0.3,
            output_token: 0.6,
            currency: 'USD',
          },
        },
        {
          id: 'org/m2',
          object: 'model',
          created: 1795348800,
          owned_by: 'castellan',
          type: 'embedding',
          multimodal: true,
          description: null,
          context_length: 8192,
          context_size: 8192,
          max_output_tokens: 1,
          providers: ['u1'],
          tags: ['Embedding'],
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

interface Listed {
  readonly id: string;
  readonly pricing?: Readonly<Record<string, number | string>>;
}

const listed = async (query: string): Promise<readonly Listed[]> =>
  ((await (await get(`/models${query}`)).json()) as { data: Listed[] }).data;

const withChanges = async (change: () => void, work: () => Promise<void>): Promise<void> => {
  const [models, upstreams] = [new Map(gateway.models), new Map(gateway.upstreams)];
  const [prices, rates] = [[...gateway.prices], [...gateway.exchangeRates]];
  const tenant = gateway.ledger.tenants.get('acme');
  change();
  try {
    await work();
  } finally {
    for (const [map, kept] of [
      [gateway.models, models],
      [gateway.upstreams, upstreams],
    ] as const) {
      map.clear();
      for (const [id, record] of kept) (map as Map<string, unknown>).set(id, record);
    }
    gateway.prices.splice(0, Infinity, ...prices);
    gateway.exchangeRates.splice(0, Infinity, ...rates);
    if (tenant !== undefined) gateway.ledger.tenants.set('acme', tenant);
  }
};

const changeModel = (id: string, changes: object): void => {
  const model = gateway.models.get(id);
  if (model === undefined) throw new Error(`no model ${id}`);
  gateway.models.set(id, { ...model, ...changes });
};

const EUR = { id: 'r1', currency: 'EUR', perUsdNanos: 920_000_000, appliesFromMs: 0, createdAtMs: 0 };

describe('pricing and providers', () => {
  const addUpstream = (): void => {
    const [first] = gateway.upstreams.values();
    if (first === undefined) throw new Error('no upstream');
    for (const id of ['u2', 'u3']) gateway.upstreams.set(id, { ...first, id, provider: 'cheap' });
    changeModel('m1', { upstreams: ['u1', 'u2', 'u3', 'gone'].map((id) => ({ id, model: 'up' })) });
    gateway.prices.push(
      priceOf({ id: 'p4', upstreamId: 'u2', inputNanos: 100, outputNanos: 700, cachedInputNanos: 10, characterNanos: 15_000 }),
      priceOf({ id: 'p5', upstreamId: 'gone', inputNanos: 1, outputNanos: 1 }),
    );
  };

  test('the least of each price over the upstreams that there are, beside the fields of the first one, and every provider once', async () => {
    await withChanges(addUpstream, async () => {
      expect(await (await get('/models/m1')).json()).toMatchObject({
        providers: ['u1', 'cheap'],
        pricing: {
          inputTokenPricePer1M: 0.3,
          outputTokenPricePer1M: 0.6,
          requestPrice: 0.01,
          input_token: 0.1,
          output_token: 0.6,
          cache_read_cost: 0.01,
          speech_cost: 15,
          currency: 'USD',
        },
      });
    });
  });

  test("in the tenant's currency where a rate applies, else in USD; `currency` asks for another; USD of the first upstream stays", async () => {
    const later = { ...EUR, id: 'r2', perUsdNanos: 2_000_000_000, appliesFromMs: Date.now() + 3_600_000 };
    await withChanges(
      () => void gateway.exchangeRates.push(EUR, later, { ...EUR, id: 'r3', currency: 'CHF', perUsdNanos: 500_000_000 }),
      async () => {
        const eur = { input_token: 0.276, output_token: 0.552, currency: 'EUR', inputTokenPricePer1M: 0.3 };
        expect((await listed(''))[0]?.pricing).toMatchObject(eur);
        expect((await listed('?currency=EUR'))[0]?.pricing).toMatchObject(eur);
        expect((await listed('?currency=USD'))[0]?.pricing).toMatchObject({ input_token: 0.3, currency: 'USD' });
        expect(await (await get('/models/m1?currency=CHF')).json()).toMatchObject({ pricing: { input_token: 0.15, currency: 'CHF' } });
        gateway.setTenant({ currency: 'CHF' });
        expect((await listed(''))[0]?.pricing).toMatchObject({ input_token: 0.15, currency: 'CHF' });
      },
    );
  });

  test('a description is told as it was declared', async () => {
    await withChanges(
      () => changeModel('m1', { description: 'Small and quick' }),
      async () => expect((await listed(''))[0]).toMatchObject({ description: 'Small and quick' }),
    );
  });
});

describe('tag', () => {
  test.each<[string, readonly string[]]>([
    ['', ['m1', 'org/m2']],
    ['?tag=Instruct', ['m1']],
    ['?tag=instruct', ['m1']],
    ['?tag=INSTRUCT&tag=tools', ['m1']],
    ['?tag=Instruct&tag=Image', []],
    ['?tag=image', ['org/m2']],
    ['?tag[]=instruct&tag[]=Tools', ['m1']],
    ['?tag=', []],
    ['?limit=1', ['m1', 'org/m2']],
  ])('%j leaves %j', async (query, ids) => {
    const change = (): void => {
      changeModel('m1', { tags: ['Instruct', 'Tools'] });
      changeModel('org/m2', { tags: ['Image'] });
    };
    await withChanges(change, async () => expect((await listed(query)).map(({ id }) => id)).toEqual(ids));
  });
});

describe('a model that the project forbids', () => {
  test.each(['m1', 'alias'])('is in no list and cannot be looked up, forbidden as %s', async (name) => {
    const change = (): void => {
      changeModel('m1', { aliases: ['alias'] });
      const inference = { blacklistedModels: [name] };
      gateway.setTenant({ projectSettings: { allowOverwrite: true, inference, createdAtMs: 0, updatedAtMs: 0 } });
    };
    await withChanges(change, async () => {
      expect((await listed('')).map(({ id }) => id)).toEqual(['org/m2']);
      const [unknown, ...forbidden] = await Promise.all(['nobody', 'm1', 'alias'].map((id) => get(`/models/${id}`)));
      expect(unknown?.status).toBe(404);
      const text = await unknown?.text();
      for (const [index, answer] of forbidden.entries()) {
        expect(answer.status).toBe(404);
        expect(await answer.text()).toBe(text?.replace('nobody', ['m1', 'alias'][index] ?? ''));
      }
    });
  });
});

describe('400', () => {
  test.each(['eur', 'XYZ', 'JPY', '', 'GBP', 'EUR&currency=USD'])('currency=%s', async (currency) => {
    for (const path of ['/models', '/models/m1']) {
      const answer = await get(`${path}?currency=${currency}`);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ error: { param: 'currency', code: 'invalid_request' } });
    }
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
