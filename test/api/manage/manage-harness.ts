import { expect } from 'vitest';
import { makeTestApp, type TestApp, type TestAppOptions, type TestResponse } from '../../support/test-app.ts';
import { disagreements } from '../../observability/documented.ts';

/** A member of a tenant with a management key. */
export interface Manager {
  readonly key: { readonly id: string; readonly value: string };
  readonly ask: (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<TestResponse>;
}

/** The surface over one store, with managers of a tenant `acme`. */
export interface Manage {
  readonly at: TestApp;
  /** Makes one more tenant like `acme`, and returns its id. */
  newTenant(): Promise<string>;
  /** Makes a management key of a member; its requests go below `/manage`, and every answer is held against its description. */
  manager(memberId: string, tenantId?: string, name?: string): Promise<Manager>;
  /** The same for any credential. */
  as(credential: string | null): Manager['ask'];
}

/** Makes a {@link Manage} with the tenant `acme`: ann and bob are its admins, cy is a member. */
export async function makeManage(options: TestAppOptions = {}): Promise<Manage> {
  const at = await makeTestApp(options);
  await at.addTenant('acme');
  const as: Manage['as'] =
    (credential) =>
    async (method, path, body, headers = {}) => {
      const answer = await at.as(credential)(method, `/manage${path}`, body, headers);
      const key = `${method} /manage${path.replace(/\?.*$/s, '')}`;
      const type = String(answer.headers['content-type']);
      expect(disagreements(key, { status: answer.status, text: answer.text, type })).toEqual([]);
      return answer;
    };
  let tenants = 0;
  return {
    at,
    as,
    newTenant: async () => {
      tenants += 1;
      await at.addTenant(`t${tenants}`);
      return `t${tenants}`;
    },
    manager: async (memberId, tenantId = 'acme', name = `manager ${memberId}`) => {
      const key = await at.addKey({ tenantId, memberId, kind: 'management', name });
      return { key, ask: as(key.value) };
    },
  };
}

/** What a flat error of this surface is. */
export const refused = (status: number, words: string | RegExp): object => ({
  status,
  json: { error: expect.stringMatching(words) as string },
});
