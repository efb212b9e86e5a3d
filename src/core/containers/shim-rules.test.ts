import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { needsKey, originAllowed, pathAllowed, takeToken, type TokenBucket } from './shim-rules.ts';

describe('paths', () => {
  test.each<readonly [readonly string[], string, boolean]>([
    [[], '/', true],
    [[], '/a/../b', true],
    [[], '*', true],
    [['/v1'], '/v1', true],
    [['/v1'], '/v1?a=/b', true],
    [['/v1'], '/v1#x', true],
    [['/v1'], '/v1/', false],
    [['/v1'], '/V1', false],
    [['/v1'], '/v1/x', false],
    [['/v1'], '/', false],
    [['/v1'], 'v1', false],
    [['/v1'], '*', false],
    [['/v1'], 'http://host/v1', false],
    [['/a', '/b'], '/b', true],
    [['/v1/chat*'], '/v1/chat', true],
    [['/v1/chat*'], '/v1/chat/', true],
    [['/v1/chat*'], '/v1/chat/x/y', true],
    [['/v1/chat*'], '/v1/chat?x', true],
    [['/v1/chat*'], '/v1/chats', false],
    [['/v1/chat*'], '/v1/chat;x', false],
    [['/v1/chat*'], '/v1/chat%2fx', false],
    [['/v1/chat/*'], '/v1/chat/x', true],
    [['/v1/chat/*'], '/v1/chat', false],
    [['/*'], '/anything', true],
    [['*'], '/anything', true],
    // Escapes: what is let through is so however it is written, and nothing else is.
    [['/v1/chat'], '/v1/%63hat', true],
    [['/ü'], '/%C3%BC', true],
    [['/%c3%bc'], '/ü', true],
    [['/a b'], '/a%20b', true],
    [['/a%2Fb'], '/a%2fb', true],
    [['/a'], '/a%2fb', false],
    [['/files*'], '/files/a%2Fb', true],
    [['/files*'], '/files/100%', true],
    [['/files*'], '/files/100%25', true],
    [['/files/a'], '/files%2Fa', false],
    [['/a'], '/%2561', false],
    [['/files*'], `/files/%${'25'.repeat(10)}41`, false],
    // Nothing gets out of a folder.
    [['/pub*'], '/pub/../admin', false],
    [['/pub*'], '/pub/..', false],
    [['/pub*'], '/pub/./x', false],
    [['/pub*'], '/pub/%2e%2e/admin', false],
    [['/pub*'], '/pub/.%2E/admin', false],
    [['/pub*'], '/pub/%252e%252e/admin', false],
    [['/pub*'], '/pub/%2e%2e%2fadmin', false],
    [['/pub*'], '/pub/..%5cadmin', false],
    [['/pub*'], '/pub/..\\admin', false],
    [['/pub*'], '/pub\\..\\admin', false],
    [['/pub*'], '/pub/..;/admin', false],
    [['/pub*'], '/pub/..%3b/admin', false],
    [['/pub*'], '/pub/%3b..;.%2e/admin', false],
    [['/pub*'], '/pub/x;../admin', false],
    [['/pub*'], '/pub/%c0%ae%c0%ae/admin', false],
    [['/pub*'], '/../pub/x', false],
    [['/*'], '/a/../b', false],
    [['/pub*'], '/pub/..x', true],
    [['/pub*'], '/pub/...', true],
    [['/pub*'], '/pub/.well-known', true],
  ])('%j let %s through: %j', (paths, path, allowed) => {
    expect(pathAllowed(paths, path)).toBe(allowed);
  });

  test('however often a path is decoded and its dots followed, it stays below what is let through', () => {
    const piece = fc.constantFrom('/', '.', '..', '%2e', '%2F', '%5c', '%25', '2e', '2f', 'a', 'admin', '\\', ';', '%3b', '%');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const path = `/pub/${pieces.join('')}`;
        if (!pathAllowed(['/pub*'], path)) return;
        let seen = path;
        for (let round = 0; round < 4; round += 1) {
          // The resolution of dots and backslashes is the one of browsers' addresses.
          expect(new URL(`http://host${seen.replaceAll(';', '/')}`).pathname).toMatch(/^\/pub(?:\/|$)/);
          seen = seen.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('origins', () => {
  const APP = 'https://app.example.com';
  test.each<readonly [readonly string[] | null, string | undefined, boolean]>([
    [null, 'https://evil.example', true],
    [null, undefined, true],
    [[APP], undefined, true],
    [[], undefined, true],
    [[], APP, false],
    [[APP], APP, true],
    [[APP], 'https://APP.example.com', true],
    [['https://APP.example.com'], APP, true],
    [[APP], `${APP}:443`, true],
    [[`${APP}:443`], APP, true],
    [['http://a.example:80'], 'http://a.example', true],
    [[APP], `${APP}:8443`, false],
    [[APP], `${APP}:80`, false],
    [[APP], 'http://app.example.com', false],
    [[APP], `${APP}.evil.example`, false],
    [[APP], 'https://evil.example/https://app.example.com', false],
    [[APP], 'null', false],
    [[APP], '', false],
    [['*'], 'https://evil.example', true],
    [['*'], 'null', true],
  ])('%j let %j through: %j', (origins, origin, allowed) => {
    expect(originAllowed(origins, origin)).toBe(allowed);
  });
});

describe('keys', () => {
  const shim = (authenticatedEndpoints: readonly string[] | null) => ({ authenticated: true, authenticatedEndpoints, rateLimit: null });
  const CHAT = '/v1/chat/completions';
  test.each<readonly [readonly string[] | null, string, boolean]>([
    [null, CHAT, true],
    [null, `${CHAT}?stream=1`, true],
    [null, '/v1/models', false],
    [null, '/v1/chat', false],
    [null, `${CHAT}/x`, false],
    [null, '/', false],
    [[], CHAT, false],
    [[], '/a/../b', false],
    [['/admin*'], '/admin/x', true],
    [['/admin*'], '/administrators', false],
    [['/admin/*'], '/admin', true],
    [['*'], '/any', true],
    // What some program behind might take for the endpoint.
    [null, '/V1/Chat/Completions', true],
    [null, `${CHAT}/`, true],
    [null, `/${CHAT}`, true],
    [null, '/v1//chat/completions', true],
    [null, '/v1/chat/completions;x=1', true],
    [null, '/v1;a/chat/completions', true],
    [null, '/v1/chat%2Fcompletions', true],
    [null, '/v1/ch%61t/completions', true],
    [null, '/v1/ch%2561t/completions', true],
    [null, '/v1\\chat\\completions', true],
    [null, '/v1/chat/x/../completions', true],
    [null, `${CHAT}%3fx`, true],
    [null, `${CHAT}%23`, true],
    [null, `${CHAT}%00.txt`, true],
    [null, `${CHAT}%20`, true],
    [null, '/v1/chat./completions.', true],
    [null, `${CHAT};a%0ab`, true],
    [null, '/x/%2e%2e/v1/models', true],
  ])('of %j %s needs one: %j', (endpoints, path, needed) => {
    expect(needsKey(shim(endpoints), path)).toBe(needed);
  });

  test.each(['.', ';', '%20', '%3b'])('a path of many %s takes no time', (mark) => {
    const startedMs = performance.now();
    needsKey(shim(null), `/${mark.repeat(Math.floor(30_000 / mark.length))}%0ax`);
    expect(performance.now() - startedMs).toBeLessThan(100);
  });

  test('none is needed where authenticated is not set', () => {
    expect(needsKey({ authenticated: false, authenticatedEndpoints: [CHAT], rateLimit: null }, CHAT)).toBe(false);
  });

  test('a rate limit needs one everywhere', () => {
    expect(needsKey({ authenticated: false, authenticatedEndpoints: [], rateLimit: 5 }, '/any')).toBe(true);
  });
});

describe('tokens', () => {
  /** Which of requests at these moments are let through. */
  function taken(moments: readonly number[], limit: number, burst: number | null): boolean[] {
    let bucket: TokenBucket | null = null;
    return moments.map((nowMs) => {
      const result = takeToken(bucket, nowMs, limit, burst);
      bucket = result.bucket;
      return result.allowed;
    });
  }

  test.each<readonly [string, number, number | null, readonly number[], readonly boolean[]]>([
    ['a burst, and no more', 1, 3, [0, 0, 0, 0], [true, true, true, false]],
    ['one more after its time', 2, 1, [0, 499, 500, 999, 1000], [true, false, true, false, true]],
    ['without a burst those of a second', 2.5, null, [0, 0, 0, 0], [true, true, true, false]],
    ['and one where they are less than one', 0.5, null, [0, 1999, 2000], [true, false, true]],
    ['a full bucket is not filled further', 10, 2, [0, 100_000, 100_000, 100_000], [true, true, true, false]],
    ['a clock that goes back gives nothing', 1, 1, [10_000, 0, 999, 1000], [true, false, false, true]],
  ])('%s', (_, limit, burst, moments, allowed) => {
    expect(taken(moments, limit, burst)).toStrictEqual(allowed);
  });

  test('it tells when the next one is let through, and not a millisecond late', () => {
    expect(takeToken({ tokens: 0, atMs: 0 }, 0, 4, 1)).toStrictEqual({ allowed: false, bucket: { tokens: 0, atMs: 0 }, retryAfterMs: 250 });
  });

  test('at any rate no more are let through than the burst and what time gives, and waiting as told is enough', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.01, max: 1000, noNaN: true }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 60 }),
        (limit, burst, gaps) => {
          let nowMs = 0;
          let count = 0;
          let bucket: TokenBucket | null = null;
          for (const gap of gaps) {
            nowMs += gap;
            const result = takeToken(bucket, nowMs, limit, burst);
            bucket = result.bucket;
            if (result.allowed) count += 1;
            else expect(takeToken(bucket, nowMs + result.retryAfterMs, limit, burst).allowed).toBe(true);
          }
          expect(count).toBeLessThanOrEqual(burst + (nowMs * limit) / 1000 + 1e-6);
        },
      ),
      { numRuns: 300 },
    );
  });
});
