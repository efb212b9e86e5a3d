import { describe, expect, test } from 'vitest';
import { judgeStatus, scrubbedError } from './upstream-verdict.ts';

describe('the status of an upstream', () => {
  test.each([
    [200, 'answer'],
    [201, 'answer'],
    [301, 'upstream_failed'],
    [307, 'upstream_failed'],
    [400, 'caller_error'],
    [401, 'upstream_failed'],
    [402, 'upstream_failed'],
    [403, 'upstream_failed'],
    [404, 'caller_error'],
    [407, 'upstream_failed'],
    [408, 'upstream_timeout'],
    [413, 'caller_error'],
    [422, 'caller_error'],
    [429, 'upstream_rate_limited'],
    [500, 'upstream_failed'],
    [502, 'upstream_failed'],
    [503, 'upstream_failed'],
    [504, 'upstream_timeout'],
    [599, 'upstream_failed'],
  ])('%i is %s', (status, expected) => {
    const verdict = judgeStatus(status);
    expect(verdict.kind === 'failure' ? verdict.code : verdict.kind).toBe(expected);
  });
});

describe('an error that passes', () => {
  const options = { status: 400, secrets: ['internal-host', 'very-secret'], rename: { from: 'up-m1', to: 'm1' } };

  test('keeps its form, and the model gets the name that the caller used', () => {
    const error = { message: 'up-m1 takes no images', type: 'invalid_request_error', param: 'messages', code: 'bad_image' };
    expect(scrubbedError({ error }, options)).toEqual({ ...error, message: 'm1 takes no images' });
  });

  test.each([
    ['its address', 'see http://10.0.0.7:9001/v1/chat?key=x for more', 'see [removed] for more'],
    ['its host with a port', 'backend llm.internal.example:8443 and 10.1.2.3:80 refused', 'backend [removed] and [removed] refused'],
    ['its declared host', 'internal-host refused', '[removed] refused'],
    ['an address with the declared host', 'see http://internal-host:9999/v1 now', 'see [removed] now'],
    ['our key there', 'the key very-secret is not good', 'the key [removed] is not good'],
    ['what looks like a key', 'got sk-abcdef123456 and Bearer abc.def', 'got [removed] and [removed]'],
  ])('tells nothing about the upstream: %s', (_name, message, expected) => {
    expect(scrubbedError({ error: { message } }, options).message).toBe(expected);
  });

  test('is searched in every field', () => {
    const scrubbed = scrubbedError({ error: { message: 'x', type: 'very-secret', param: 'very-secret', code: 'very-secret' } }, options);
    expect(JSON.stringify(scrubbed)).not.toContain('very-secret');
  });

  test.each([
    [{ error: 'plain text' }, 'plain text'],
    [{ detail: 'from elsewhere' }, 'from elsewhere'],
    [{ message: 'at the top' }, 'at the top'],
    [null, 'The model refused the request with status 400.'],
    ['text', 'The model refused the request with status 400.'],
    [{ error: { message: 7 } }, 'The model refused the request with status 400.'],
  ])('is made from %j', (body, message) => {
    expect(scrubbedError(body, options)).toEqual({ message, type: 'invalid_request_error', param: null, code: null });
  });

  test('is cut where it is too long', () => {
    expect(scrubbedError({ error: { message: 'x'.repeat(10_000) } }, options).message).toHaveLength(2000);
  });
});
