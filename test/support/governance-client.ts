import { expect } from 'vitest';
import { expectAnswer } from './cycles-answers.ts';
import type { TestApp, TestResponse } from './test-app.ts';

/** An answer of the governance surface that kept what every answer of it promises. */
export interface Governed<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: TestResponse['headers'];
  readonly body: T;
}

/** Asks the governance surface; `operation` is the operation's id, by which the shape of its answer is known. */
export interface GovernanceClient {
  ask<T = Record<string, unknown>>(
    operation: string,
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Governed<T>>;
}

const TRACE = /^[0-9a-f]{32}$/;

/** What every answer of the surface says, errors included. */
function expectTraced(response: TestResponse): void {
  expect(response.headers['x-request-id']).toMatch(/^req/);
  expect(response.headers['x-cycles-trace-id']).toMatch(TRACE);
  if (response.status < 400) return;
  expect(response.json).toMatchObject({
    error: expect.any(String) as string,
    message: expect.any(String) as string,
    request_id: response.headers['x-request-id'],
    trace_id: response.headers['x-cycles-trace-id'],
  });
}

/** Makes a client that asks as the operator or, with `key`, as that tenant's key. */
export function makeGovernanceClient(at: TestApp, key: string | null = null): GovernanceClient {
  const send = key === null ? at.operator : at.cycles(key);
  return {
    ask: async (
      operation: string,
      method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
      url: string,
      body?: unknown,
      headers?: Record<string, string>,
    ) => {
      const response = await send(method, url, body, headers);
      expectTraced(response);
      expectAnswer(operation, response.status, response.json, 'governance');
      return { status: response.status, headers: response.headers, body: response.json };
    },
  };
}
