import { describe, expect, test } from 'vitest';
import { demoAnswer } from './demo-answer.ts';
import type { DemoSettings } from './demo-form.ts';

/** Past 2^53: a double holds its neighbours only. */
const LARGE = '9007199254740993';

const settings: DemoSettings = { countTokens: (text) => text.length, createdAt: 1, models: null, reportUsage: true, text: null };

interface Answer {
  readonly choices: readonly {
    readonly message: { readonly tool_calls: readonly { readonly function: { readonly arguments: string } }[] };
  }[];
  readonly data: readonly { readonly embedding: readonly number[] }[];
  readonly usage: { readonly prompt_tokens: number };
}

const ask = (path: string, body: string): { readonly status: number; readonly answer: Answer } => {
  const { status, pieces } = demoAnswer(path, body, settings);
  return { status, answer: JSON.parse(pieces.join('')) as Answer };
};

describe('an integer that a double cannot hold', () => {
  const chat = (fields: string): string => `{"model":"m","messages":[{"role":"user","content":"hi","weight":${LARGE}}]${fields}}`;

  test('in a message, a tool and the format of a chat is taken, and counted with all its digits', () => {
    const fields = (value: string): string =>
      `,"tools":[{"type":"function","function":{"name":"f","parameters":{"maximum":${value}}}}],"response_format":{"n":${value}}`;
    const { status, answer } = ask('/chat/completions', chat(fields(LARGE)));
    expect(status).toBe(200);
    expect(answer.usage.prompt_tokens).toBe(
      ask('/chat/completions', chat(fields('7'))).answer.usage.prompt_tokens + 2 * (LARGE.length - 1),
    );
  });

  test('comes back exact in the arguments of a tool', () => {
    const parameters = `{"type":"object","required":["n"],"properties":{"n":{"enum":[${LARGE}]}}}`;
    const tool = `{"type":"function","function":{"name":"f","parameters":${parameters}}}`;
    const { answer } = ask('/chat/completions', chat(`,"tools":[${tool}],"tool_choice":"required","max_tokens":200`));
    expect(answer.choices[0]?.message.tool_calls[0]?.function.arguments).toBe(`{"n":${LARGE}}`);
  });

  test.each([
    ['/completions', `{"model":"m","prompt":"hi","seed":${LARGE}}`, 200],
    ['/completions', `{"model":"m","prompt":["hi","ho"],"seed":${LARGE},"stream":true}`, 200],
    ['/completions', `{"model":"m","prompt":[1,${LARGE}]}`, 400],
    ['/completions', `{"model":"m","prompt":[[1],[${LARGE}]]}`, 400],
    ['/embeddings', `{"model":"m","input":"hi","seed":${LARGE}}`, 200],
    ['/embeddings', `{"model":"m","input":[[1],[2]],"seed":${LARGE}}`, 200],
    ['/embeddings', `{"model":"m","input":[${LARGE}]}`, 400],
    ['/embeddings', `{"model":"m","input":"hi","dimensions":${LARGE}}`, 400],
    ['/chat/completions', `{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"metadata":{"n":${LARGE}}}`, 200],
    ['/chat/completions', `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":${LARGE}}`, 400],
  ])('%s is answered, never thrown at: %s', (path, body, status) => {
    expect(demoAnswer(path, body, settings).status).toBe(status);
  });
});
