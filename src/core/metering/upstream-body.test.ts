import { describe, expect, test } from 'vitest';
import { parseJson } from '../json/int64.ts';
import { mergeStreamOptions, type UpstreamBodyOptions } from './upstream-body.ts';

function merge(bodyText: string, options: Partial<UpstreamBodyOptions> = {}) {
  const body = parseJson(bodyText) as Record<string, unknown>;
  return mergeStreamOptions({ body, upstreamModel: 'up', continuousUsage: false, outputLimit: null, ...options });
}

describe('what goes upstream', () => {
  test.each([
    ['only the model changes', '{"model":"m","messages":[]}', {}, '{"model":"up","messages":[]}'],
    [
      'integers past 2^53 keep their digits',
      '{"model":"m","seed":9223372036854775807,"x":{"y":[9007199254740993]}}',
      {},
      '{"model":"up","seed":9223372036854775807,"x":{"y":[9007199254740993]}}',
    ],
    [
      'scheduler fields are stripped',
      '{"priority":1,"model":"m","cache_salt":"s","x":{"priority":2}}',
      {},
      '{"model":"up","x":{"priority":2}}',
    ],
    ['of a key that comes twice the last is left', '{"model":"m","max_tokens":1,"max_tokens":2}', {}, '{"model":"up","max_tokens":2}'],
    [
      'a limit is added where there is none',
      '{"model":"m"}',
      { outputLimit: { field: 'max_tokens', tokens: 16 } },
      '{"model":"up","max_tokens":16}',
    ],
    [
      'null is no limit',
      '{"model":"m","max_tokens":null}',
      { outputLimit: { field: 'max_completion_tokens', tokens: 16 } },
      '{"model":"up","max_completion_tokens":16}',
    ],
    [
      'the field that the caller used is kept',
      '{"model":"m","max_completion_tokens":9}',
      { outputLimit: { field: 'max_tokens', tokens: 16 } },
      '{"model":"up","max_completion_tokens":9}',
    ],
    ['a stream reports usage', '{"model":"m","stream":true}', {}, '{"model":"up","stream":true,"stream_options":{"include_usage":true}}'],
    [
      'continuously where the upstream takes it',
      '{"model":"m","stream":true,"stream_options":{"include_usage":false,"other":1}}',
      { continuousUsage: true },
      '{"model":"up","stream":true,"stream_options":{"include_usage":true,"other":1,"continuous_usage_stats":true}}',
    ],
    [
      "a stream of Anthropic's API has no options",
      '{"model":"m","stream":true,"priority":1,"max_tokens":5}',
      { dialect: 'anthropic' },
      '{"model":"up","stream":true,"max_tokens":5}',
    ],
    ['stream options are left alone without a stream', '{"model":"m","stream":false}', {}, '{"model":"up","stream":false}'],
  ] as const)('%s', (_name, body, options, expected) => {
    expect(merge(body, options).text).toBe(expected);
  });

  test.each([
    ['{"model":"m","stream":true}', true],
    ['{"model":"m","stream":true,"stream_options":null}', true],
    ['{"model":"m","stream":true,"stream_options":{}}', true],
    ['{"model":"m","stream":true,"stream_options":{"include_usage":false}}', true],
    ['{"model":"m","stream":true,"stream_options":{"include_usage":true}}', false],
    ['{"model":"m","stream":true,"stream_options":{"continuous_usage_stats":true}}', false],
    ['{"model":"m","stream":false}', false],
    ['{"model":"m"}', false],
  ])('%s hides usage: %s', (body, hide) => {
    expect(merge(body).hideUsage).toBe(hide);
  });

  test('the caller’s body is not changed', () => {
    const body = Object.freeze({ model: 'm', stream: true, priority: 1, stream_options: Object.freeze({}) });
    mergeStreamOptions({ body, upstreamModel: 'up', continuousUsage: true, outputLimit: { field: 'max_tokens', tokens: 1 } });
    expect(body).toStrictEqual({ model: 'm', stream: true, priority: 1, stream_options: {} });
  });
});
