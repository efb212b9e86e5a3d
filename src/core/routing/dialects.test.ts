import { expect, test } from 'vitest';
import { dialectOf, dialectsFault, dialectsOf } from './dialects.ts';

test('each kind of call is made in one API', () => {
  expect(['chat', 'completions', 'embeddings'].map((kind) => dialectOf(kind as 'chat'))).toEqual(['openai', 'openai', 'openai']);
  expect([dialectOf('messages'), dialectOf('count_tokens')]).toEqual(['anthropic', 'anthropic']);
});

test("an upstream that does not say, as records of earlier versions do not, speaks OpenAI's API; the demo upstream speaks all", () => {
  expect(dialectsOf({ kind: 'openai' })).toEqual(['openai']);
  expect(dialectsOf({ kind: 'openai', speaks: ['anthropic'] })).toEqual(['anthropic']);
  expect(dialectsOf({ kind: 'demo' })).toEqual(['openai', 'anthropic']);
  expect(dialectsOf({ kind: 'demo', speaks: ['openai'] })).toEqual(['openai']);
});

test('a list of APIs names at least one, and none twice', () => {
  expect([dialectsFault(['openai']), dialectsFault(['anthropic', 'openai'])]).toEqual([null, null]);
  expect([dialectsFault([]), dialectsFault(['openai', 'openai'])]).toEqual([
    'name at least one of openai and anthropic',
    'name each of openai and anthropic at most once',
  ]);
});
