import { describe, expect, test } from 'vitest';
import { mergeStreamOptions } from '../../src/core/metering/upstream-body.ts';
import { JsonUsageScanner } from '../../src/core/metering/json-usage-scanner.ts';
import { messagesUsageFromObject } from '../../src/core/metering/messages-usage.ts';
import { SseUsageScanner } from '../../src/core/metering/sse-usage-scanner.ts';
import type { TokenUsage } from '../../src/core/metering/token-usage.ts';
import { CORPUS, type MeteringCase, type Used } from './corpus.ts';

/** Longer bodies are cut at some places only. */
const EVERY_CUT_BYTES = 4000;

interface Scanned {
  readonly usage: TokenUsage | null;
  readonly outputTokens: number | null;
  readonly relayed: string;
}

function scan(each: MeteringCase, cuts: readonly number[]): Scanned {
  const dialect = each.route === '/messages' ? 'anthropic' : 'openai';
  const bytes = Buffer.from(each.body);
  const pieces = [...cuts, bytes.length].map((cut, index) => bytes.subarray(cuts[index - 1] ?? 0, cut));
  if (each.contentType === 'application/json') {
    const scanner = new JsonUsageScanner(dialect === 'anthropic' ? { readUsage: messagesUsageFromObject } : {});
    for (const piece of pieces) scanner.push(piece);
    const text = scanner.outputText();
    return { usage: scanner.usage, outputTokens: text === null ? null : Math.ceil(Buffer.byteLength(text) / 3), relayed: each.body };
  }
  const asked = { model: 'm', ...each.asked };
  const { hideUsage } = mergeStreamOptions({ body: asked, upstreamModel: 'm', continuousUsage: true, dialect, outputLimit: null });
  const scanner = new SseUsageScanner({ hideUsage, countTokens: null, dialect });
  const passed: Uint8Array[] = [];
  for (const piece of pieces) passed.push(...scanner.push(Buffer.from(piece)));
  passed.push(...scanner.end());
  const usage = scanner.countsOutput || scanner.usage === null ? scanner.usage : { ...scanner.usage, completionTokens: -1 };
  return { usage, outputTokens: scanner.estimatedOutputTokens(), relayed: Buffer.concat(passed).toString() };
}

function expectMetered(each: MeteringCase, { usage, outputTokens, relayed }: Scanned): void {
  expect(relayed === (each.relayed ?? each.body)).toBe(true);
  const { used } = each;
  if (each.estimated === true) {
    // The output is what the scanner saw, or what was reported, whichever is more.
    expect(Math.max(usage?.completionTokens ?? 0, outputTokens ?? 0)).toBe(used.completion);
    if (usage !== null) expect(partsOf(usage, used.completion)).toEqual(wanted(used));
  } else {
    expect(usage).not.toBeNull();
    if (usage !== null) expect(partsOf(usage, usage.completionTokens)).toEqual(wanted(used));
  }
}

const partsOf = (usage: TokenUsage, completion: number): Required<Used> => ({
  prompt: usage.promptTokens,
  completion,
  cached: usage.cachedPromptTokens ?? 0,
  cacheWrite: usage.cacheWritePromptTokens ?? 0,
  reasoning: usage.reasoningTokens ?? 0,
});

const wanted = (used: Used): Required<Used> => ({ cached: 0, cacheWrite: 0, reasoning: 0, ...used });

describe.each(CORPUS.map((each) => [each.name, each] as const))('%s', (_name, each) => {
  const { length } = Buffer.from(each.body);
  const bytewise = [...Array(length).keys()].slice(1);

  test('in one piece', () => {
    expectMetered(each, scan(each, []));
  });

  test('split at every byte, or a long one around its ends and into pieces of 64 KiB', () => {
    const isShort = length <= EVERY_CUT_BYTES;
    for (const cut of isShort ? bytewise : [1, 7, length - 120, length - 14, length - 2]) expectMetered(each, scan(each, [cut]));
    expectMetered(each, scan(each, isShort ? bytewise : bytewise.filter((cut) => cut % 65_536 === 0)));
  });
});
