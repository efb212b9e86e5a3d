import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey, type MadeTenant } from '../support/control-plane.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { dumpState, type StoreReader } from '../support/store-reader.ts';

/** Largest body of the gateway, bytes. */
export const MAX_BODY_BYTES = 300_000;
/** How long a client may take for its headers. */
export const SLOW_MS = 300;

/** A server to be mistreated, with keys of its own tenant and of another. */
export interface HostileTarget {
  readonly server: TestServer;
  readonly client: HttpClient;
  readonly control: ControlPlane;
  readonly tenant: MadeTenant;
  readonly key: MadeKey;
  readonly foreign: MadeKey;
}

/** Starts a target for the tests of a file, and fails each of them that changes anything in the tables. */
export function useHostileTarget(): { get(): HostileTarget } {
  let target: HostileTarget | undefined;
  let reader: StoreReader;
  let before: string;

  beforeAll(async () => {
    const config = `gateway: { max_body_bytes: ${MAX_BODY_BYTES} }\n`;
    const server = await startServer({ store: { kind: 'sqlite' }, config, slowClientMs: SLOW_MS });
    const client = makeHttpClient();
    const control = makeControlPlane(server, client);
    const tenant = control.firstTenant();
    const key = await control.makeKey(tenant, { name: 'victim', maxTokens: 100_000 });
    const foreign = await control.makeKey(await control.makeTenant('other'), { name: 'foreign' });
    reader = server.reader();
    target = { server, client, control, tenant, key, foreign };
  });

  afterAll(async () => {
    await target?.client.close();
    await target?.server.dispose();
  });

  beforeEach(async () => {
    before = await dumpState(reader);
  });

  afterEach(async () => {
    expect(await dumpState(reader)).toBe(before);
  });

  return {
    get: () => {
      if (target === undefined) throw new Error('the target has not been started');
      return target;
    },
  };
}

/** What a refusal looks like on each surface: which fields it has, and where the code is. */
export const FORMS = {
  tinfoil: (body: unknown): unknown =>
    expect(body).toEqual({
      error: expect.any(String) as unknown,
      code: expect.any(String) as unknown,
      status: 'error',
      message: expect.any(String) as unknown,
    }),
  openai: (body: unknown): unknown =>
    expect(body).toMatchObject({
      error: {
        message: expect.any(String) as unknown,
        type: expect.any(String) as unknown,
        code: expect.toSatisfy((code: unknown) => code === null || typeof code === 'string') as unknown,
      },
    }),
  cycles: (body: unknown): unknown =>
    expect(body).toMatchObject({
      error: expect.stringMatching(/^[A-Z_]+$/) as unknown,
      message: expect.any(String) as unknown,
      request_id: expect.any(String) as unknown,
    }),
};
/** The name of a surface's form of errors. */
export type Form = keyof typeof FORMS;

/** One request that has to be refused. Texts as bodies go as they are, with the content type of JSON unless another is given. */
export interface Hostile {
  readonly what: string;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number;
  /** A word that the message must have: it names the field or the rule. */
  readonly says?: RegExp;
}

/** Sends a request to one listener and expects its refusal, in the form of a surface. */
export async function expectRefused(
  { server, client }: Pick<HostileTarget, 'server' | 'client'>,
  form: Form,
  plane: 'admin' | 'runtime',
  hostile: Hostile,
): Promise<void> {
  const { method = 'POST', path, headers = {}, body, status, says } = hostile;
  const content: Record<string, string> = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
  const answer = await client.ask(`${server[plane]}${path}`, { method, headers: { ...content, ...headers }, body });
  expect({ what: hostile.what, status: answer.status, text: answer.text }).toEqual({
    what: hostile.what,
    status,
    text: expect.any(String) as unknown,
  });
  FORMS[form](answer.json());
  if (says !== undefined) expect(answer.text).toMatch(says);
}
