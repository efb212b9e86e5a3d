import { describe, expect, test } from 'vitest';
import { parseJson } from '../json/int64.ts';
import { maskOf } from './credentials.ts';
import { checkMetadata, metadataText, packMetadata } from './rules.ts';

describe('metadata', () => {
  test.each([
    '{}',
    '{"a":1}',
    '{"a":[1.5,null,true,"x"]}',
    '{"a":9007199254740993}',
    '{"a":{"b":[-9223372036854775809]}}',
    '{"é":"\\ud83d\\ude00"}',
  ])('%s comes out as it went in', (text) => {
    const packed = packMetadata(parseJson(text) as object);
    expect(metadataText(structuredClone(packed))).toBe(JSON.stringify(JSON.parse(text)) === text ? text : metadataText(packed));
    expect(parseJson(metadataText(packed))).toEqual(parseJson(text));
    expect(() => JSON.stringify(packed)).not.toThrow();
  });

  test('an integer that a double cannot hold keeps its digits', () => {
    expect(metadataText(packMetadata({ a: 9_007_199_254_740_993n }))).toBe('{"a":9007199254740993}');
  });

  test('the limit counts bytes, not characters', () => {
    expect(checkMetadata({ k: 'x'.repeat(5112) })).toBeNull();
    expect(checkMetadata({ k: 'x'.repeat(5113) })).not.toBeNull();
    expect(checkMetadata({ k: '😀'.repeat(1278) })).toBeNull();
    expect(checkMetadata({ k: '😀'.repeat(1279) })).not.toBeNull();
  });
});

test('a mask has the length of the credential and shows its first eight characters', () => {
  expect(maskOf(`tk_abcde${'x'.repeat(26)}`)).toBe('tk_abcde**************************');
  expect(maskOf('tk_a')).toBe('tk_a');
});
