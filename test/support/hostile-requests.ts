import { expect, test } from 'vitest';
import { OPERATOR_KEY, type TestApp, type TestResponse } from './test-app.ts';

/** What a surface must show of itself to be attacked. */
export interface HostileTarget {
  readonly at: () => TestApp;
  /** Sends a request with a good credential. */
  readonly send: (method: 'POST' | 'PATCH', url: string, body: unknown, headers?: Record<string, string>) => Promise<TestResponse>;
  /** A path that takes a body, and a body that it takes. */
  readonly path: string;
  readonly method: 'POST' | 'PATCH';
  readonly body: object;
  /** The header of a good credential. */
  readonly credential: () => { readonly name: string; readonly value: string };
  /** Asserts that an answer is an error in the surface's form. */
  readonly expectForm: (response: TestResponse) => void;
}

/** Bad input that every surface of the control plane answers with a clear 4xx in its own form, changing nothing. */
export function testHostileRequests(target: HostileTarget): void {
  const { at, send, path, method, body, expectForm } = target;

  const expectRefused = async (status: number, request: () => Promise<TestResponse>): Promise<TestResponse> => {
    const { records, accounts, entries, events } = at().store.tables;
    const before = [[...records], [...accounts], entries.length, events.length];
    const response = await request();
    expect([response.status, response.text]).toEqual([status, expect.any(String)]);
    expectForm(response);
    expect([[...records], [...accounts], entries.length, events.length]).toEqual(before);
    return response;
  };

  const inject = async (options: {
    headers?: Record<string, string>;
    payload?: string | Buffer;
    method?: string;
    url?: string;
  }): Promise<TestResponse> => {
    const { name, value } = target.credential();
    const response = await at().app.inject({
      method: (options.method ?? method) as 'POST',
      url: options.url ?? path,
      headers: { [name]: value, 'content-type': 'application/json', ...options.headers },
      payload: options.payload ?? JSON.stringify(body),
    });
    return {
      status: response.statusCode,
      headers: response.headers,
      text: response.payload,
      json: (response.payload === '' ? undefined : response.json()) as never,
    };
  };

  test.each([
    ['no JSON at all', 'name=a'],
    ['JSON that breaks off', '{"name":'],
    ['two values', '{} {}'],
    ['a trailing comma', '{"a":1,}'],
    ['NaN', '{"a":NaN}'],
    ['a number beyond doubles', '{"a":1e999}'],
    ['a lone surrogate half in bytes', Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d])],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['nesting deeper than any use', '{"a":'.repeat(300) + '1' + '}'.repeat(300)],
    ['a list', '[]'],
    ['text', '"a"'],
    ['a number', '1'],
    ['null', 'null'],
    ['nothing', ''],
  ])('400: a body that is %s', async (_what, payload) => {
    await expectRefused(400, () => inject({ payload }));
  });

  test.each([
    ['__proto__ at the top', `{"__proto__":{"isAdmin":true}}`],
    ['constructor at the top', `{"constructor":{"prototype":{"x":1}}}`],
    ['__proto__ deep inside', `{"metadata":{"a":[{"__proto__":1}]}}`],
    ['__proto__ in escapes', `{"\\u005f_proto__":{"isAdmin":true}}`],
  ])('400: %s, and nothing is polluted', async (_what, payload) => {
    const response = await expectRefused(400, () => inject({ payload }));
    expect(response.text).toMatch(/__proto__|constructor/);
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  test('415: a body of another type, or of none', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/json5']) {
      await expectRefused(415, () => inject({ headers: { 'content-type': type } }));
    }
  });

  test('413: a body over the limit', async () => {
    await expectRefused(413, () => inject({ payload: JSON.stringify({ ...body, x: 'x'.repeat(1024 * 1024) }) }));
  });

  test('a Content-Type with a character set is JSON too', async () => {
    const response = await inject({ headers: { 'content-type': 'application/json; charset=utf-8' } });
    expect(response.status).toBeLessThan(300);
  });

  test('401: no credential, an empty one, one that nobody has, and one on the wrong header; never repeated in the answer', async () => {
    const { name } = target.credential();
    for (const value of [
      '',
      'Bearer',
      'Bearer ',
      'Bearer admin_unknown',
      'Basic YTpi',
      'Bearer tk_a tk_b',
      OPERATOR_KEY.slice(0, -1),
      `${OPERATOR_KEY}x`,
    ]) {
      const response = await expectRefused(401, () => inject({ headers: { [name]: value } }));
      if (value.length > 10) expect(response.text).not.toContain(value);
    }
  });

  test('a bad credential is refused before the body is looked at', async () => {
    const { name } = target.credential();
    await expectRefused(401, () => inject({ headers: { [name]: 'Bearer no' }, payload: '{"' }));
  });

  test('421: a foreign Host', async () => {
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      'castellan.example.evil',
      '127.0.0.1.nip.io',
      'a b',
      'localhost:80:80',
      '[::2]',
    ]) {
      await expectRefused(421, () => inject({ headers: { host } }));
    }
  });

  test('our own names, with any port, are no foreign Host', async () => {
    for (const host of ['localhost', 'LOCALHOST:7979', '127.0.0.1:1', '[::1]:7979', 'castellan.example', 'Castellan.Example.:443']) {
      const response = await inject({ headers: { host }, method: 'GET', payload: '', url: '/none' });
      expect([host, response.status]).toEqual([host, 404]);
    }
  });

  test('403: a foreign Origin, whatever it says', async () => {
    for (const origin of [
      'https://evil.example',
      'null',
      'http://localhost:81',
      'http://localhost.evil.example',
      'file://',
      'http://user@localhost',
      '',
    ]) {
      const headers = { host: 'localhost:80', origin };
      await expectRefused(403, () => inject({ headers }));
    }
  });

  test('our own Origin is none', async () => {
    expect((await inject({ headers: { host: 'localhost:7979', origin: 'http://localhost:7979' } })).status).toBeLessThan(300);
  });

  test('every answer has a request id, its own and not one that the caller chose', async () => {
    const response = await inject({ headers: { 'x-request-id': 'chosen' } });
    expect(response.headers['x-request-id']).toMatch(/^req_/);
    const refused = await inject({ payload: '{' });
    expect(refused.headers['x-request-id']).toMatch(/^req_/);
  });

  test('503: a full queue says when to come back', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    at().store.beforeBatch = () => gate;
    const waiting = Array.from({ length: 1000 }, (_, index) =>
      at().writer.execute({ verb: 'init-setting', id: `s${index}`, tenantId: '_system', setting: { id: 's', value: 1 } }),
    );
    const response = await send(method, path, body);
    expect([response.status, response.headers['retry-after']]).toEqual([503, '1']);
    expectForm(response);
    open();
    await Promise.all(waiting);
  });

  test('500: a fault of ours tells nothing of itself, and is logged with the route and without the address', async () => {
    at().store.beforeBatch = () => {
      throw new Error('secret detail of the inside');
    };
    const response = await send(method, `${path}?probe=hunter2`, body);
    expect(response.status).toBe(500);
    expectForm(response);
    expect(response.text).not.toContain('secret detail');
    const logged = at().log.lines.filter(({ level }) => level === 'error');
    expect(logged.some(({ fields }) => typeof fields['route'] === 'string')).toBe(true);
    expect(JSON.stringify(logged)).not.toContain('hunter2');
  });
}
