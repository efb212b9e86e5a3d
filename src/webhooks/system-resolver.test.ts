import { expect, test } from 'vitest';
import { makeSystemResolver } from './system-resolver.ts';

test('names that strangers chose are looked up two at a time, in their order, whatever becomes of them', async () => {
  const asked: string[] = [];
  const answers = new Map<string, (addresses: readonly string[] | Error) => void>();
  const resolve = makeSystemResolver((hostname) => {
    asked.push(hostname);
    return new Promise((done, fail) => answers.set(hostname, (answer) => (answer instanceof Error ? fail(answer) : done(answer))));
  });
  const results = ['a', 'b', 'c', 'd'].map((name) => resolve(name).catch((error: Error) => error.message));
  await Promise.resolve();
  expect(asked).toEqual(['a', 'b']);
  answers.get('a')?.(new Error('nobody knows a'));
  expect(await results[0]).toBe('nobody knows a');
  await expect.poll(() => asked).toEqual(['a', 'b', 'c']);
  answers.get('c')?.(['192.0.2.3']);
  await expect.poll(() => asked).toEqual(['a', 'b', 'c', 'd']);
  answers.get('d')?.([]);
  answers.get('b')?.(['192.0.2.2']);
  expect(await Promise.all(results)).toEqual(['nobody knows a', ['192.0.2.2'], ['192.0.2.3'], []]);
  // Both places are free again.
  const more = [resolve('e'), resolve('f')];
  await Promise.resolve();
  expect(asked.slice(4)).toEqual(['e', 'f']);
  for (const name of ['e', 'f']) answers.get(name)?.([]);
  await Promise.all(more);
});

test('a name of this machine is found as everything else finds it', async () => {
  expect(await makeSystemResolver()('localhost')).toEqual(
    expect.arrayContaining([expect.stringMatching(/^(127\.0\.0\.1|::1)$/) as string]),
  );
});
