import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SseUsageScanner, type SseUsageScannerOptions } from './sse-usage-scanner.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Words as tokens: easy to count by eye. */
function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => word !== '').length;
}

interface Run {
  readonly scanner: SseUsageScanner;
  /** What went on before `end`, and what `end` gave. */
  readonly passed: string;
  readonly atEnd: string;
}

function run(stream: string, cuts: readonly number[] = [], options: Partial<SseUsageScannerOptions> = {}): Run {
  const scanner = new SseUsageScanner({ hideUsage: false, countTokens: countWords, ...options });
  const bytes = encoder.encode(stream);
  const passed: Uint8Array[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A copy for each push, as from a socket: the scanner must not rely on neighbours in memory.
    passed.push(...scanner.push(bytes.slice(from, cut)));
    from = cut;
  }
  return { scanner, passed: join(passed), atEnd: join(scanner.end()) };
}

function join(pieces: readonly Uint8Array[]): string {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return decoder.decode(whole);
}

const TEXT_1 = 'data: {"choices":[{"index":0,"delta":{"content":"Grüße "}}],"usage":null}\n\n';
const TEXT_2 = 'data: {"choices":[{"index":0,"delta":{"content":"an 😀 alle"}}]}\n\n';
const FINISH = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';
const USAGE = 'data: {"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}\n\n';
const DONE = 'data: [DONE]\n\n';
const COUNTED = { promptTokens: 5, completionTokens: 7, totalTokens: 12, cachedPromptTokens: null, reasoningTokens: null };

/** The same stream with every line end as CRLF. */
function crlf(stream: string): string {
  return stream.replaceAll('\n', '\r\n');
}

/** The same stream with every line end as a CR alone. */
function cr(stream: string): string {
  return stream.replaceAll('\n', '\r');
}

function everyCut(stream: string): number[][] {
  const length = encoder.encode(stream).length;
  return [...Array.from({ length: length + 1 }, (_, cut) => [cut]), [...Array(length).keys()]];
}

describe('relaying', () => {
  const streams: readonly (readonly [string, string])[] = [
    ['a chat stream', TEXT_1 + TEXT_2 + FINISH + USAGE + DONE],
    ['with CRLF', crlf(TEXT_1 + TEXT_2 + FINISH + USAGE + DONE)],
    ['with CR alone', cr(`: hello\n\n${TEXT_1}${TEXT_2}id: 5\n${FINISH}${USAGE}${DONE}`)],
    [
      'with line ends of every kind',
      `${cr(TEXT_1)}${crlf(TEXT_2)}${FINISH.replace('\n\n', '\n\r')}${USAGE.replace('\n\n', '\r\r\n')}${DONE}`,
    ],
    ['with comments, names and ids', `: hello\n\n${TEXT_1}: ping\nid: 5\nevent: x\nretry: 1\n${TEXT_2}${USAGE}${DONE}`],
    [
      'with several data lines in an event',
      `data: {"choices":[],\ndata:"usage":{"prompt_tokens":5,\ndata: "completion_tokens":7}}\n\n${DONE}`,
    ],
    ['one JSON text a line without blank lines', USAGE.replace('\n\n', '\n') + DONE],
    ['without a blank line at the end', TEXT_1 + USAGE.trimEnd()],
    ['without a terminal event', TEXT_1 + USAGE],
    ['with bytes after the end', `${USAGE}${DONE}\n\n: bye\n`],
  ];

  test.each(streams)('%s: every byte as sent, cut anywhere; usage found', (_name, stream) => {
    for (const cuts of everyCut(stream)) {
      const { scanner, passed, atEnd } = run(stream, cuts);
      expect(passed + atEnd).toBe(stream);
      expect(scanner.usage).toStrictEqual(COUNTED);
    }
  });

  test('any bytes pass as they are, cut anywhere, and nothing throws', () => {
    const piece = fc.constantFrom(TEXT_1, TEXT_2, DONE, USAGE, '\n', '\r\n', '\r', 'data', 'data:', ':', '[DONE]', '{"usage":', ' ', 'ü');
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }),
        fc.array(fc.nat(2000), { maxLength: 8 }),
        fc.integer({ min: 8, max: 300 }),
        (pieces, cuts, cap) => {
          const stream = pieces.join('');
          const length = encoder.encode(stream).length;
          const sorted = cuts.map((cut) => cut % (length + 1)).sort((a, b) => a - b);
          // Large enough that nothing behind a terminal event is let go.
          const { passed, atEnd } = run(stream, sorted, { maxEventBytes: stream.includes('[DONE]') ? 100_000 : cap });
          expect(passed + atEnd).toBe(stream);
        },
      ),
    );
  });

  test('an event goes on as soon as it is complete, in one piece with its neighbours', () => {
    const scanner = new SseUsageScanner({ hideUsage: true, countTokens: null });
    const chunk = encoder.encode(TEXT_1 + TEXT_2);
    const out = scanner.push(chunk);
    expect(out).toHaveLength(1);
    expect(out[0]).toBe(chunk);
  });

  test.each([
    ['CRLF', '\r\n'],
    ['CR', '\r'],
  ])('an event goes on with the byte that ends it, whatever comes next (%s)', (_name, lineEnd) => {
    const scanner = new SseUsageScanner({ hideUsage: true, countTokens: null });
    const event = TEXT_1.replaceAll('\n', lineEnd);
    expect(join(scanner.push(encoder.encode(event)))).toBe(event);
    expect(join(scanner.push(encoder.encode(event)))).toBe(event);
  });

  test('a comment that keeps the connection alive does not wait for a blank line', () => {
    const scanner = new SseUsageScanner({ hideUsage: true, countTokens: null });
    expect(join(scanner.push(encoder.encode(': ping\n')))).toBe(': ping\n');
  });
});

describe('hiding usage', () => {
  test.each([
    ['LF', (stream: string) => stream],
    ['CRLF', crlf],
    ['CR', cr],
    ['CR, then CRLF', (stream: string) => stream.replaceAll('\n\n', '\r\r\n')],
  ])('takes out the chunk that only reports usage, and its blank line (%s), cut anywhere', (_name, form) => {
    const stream = form(TEXT_1 + FINISH + USAGE + DONE);
    for (const cuts of everyCut(stream)) {
      const { scanner, passed, atEnd } = run(stream, cuts, { hideUsage: true });
      expect(passed + atEnd).toBe(form(TEXT_1 + FINISH + DONE));
      expect(scanner.usage).toStrictEqual(COUNTED);
    }
  });

  test('as the last event without a line end it is taken out too', () => {
    const { passed, atEnd } = run(TEXT_1 + USAGE.trimEnd(), [], { hideUsage: true });
    expect(passed + atEnd).toBe(TEXT_1);
  });

  test('with its other lines, so that nothing of it joins the next event', () => {
    const { passed, atEnd } = run(`${TEXT_1}id: 7\n: note\n${USAGE}${FINISH}`, [], { hideUsage: true });
    expect(passed + atEnd).toBe(TEXT_1 + FINISH);
  });

  test.each([
    [
      'usage beside choices (continuous)',
      'data: {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}\n\n',
    ],
    ['empty choices without usage', 'data: {"choices":[],"prompt_filter_results":[]}\n\n'],
    ['empty choices with null usage', 'data: {"choices":[],"usage":null}\n\n'],
    ['usage without choices', 'data: {"usage":{"prompt_tokens":5,"completion_tokens":1}}\n\n'],
    ['the words in a text', 'data: {"choices":[{"delta":{"content":"\\"usage\\":{},\\"choices\\":[]"}}]}\n\n'],
    ['what is no JSON', 'data: "usage" {"choices":[]\n\n'],
  ])('leaves %s', (_name, event) => {
    const { passed } = run(event + FINISH, [], { hideUsage: true });
    expect(passed).toBe(event + FINISH);
  });
});

describe('the terminal event', () => {
  const failed = 'event: response.failed\ndata: {"type":"response.failed","response":{"usage":null}}\n\n';
  const completed =
    'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":5,"output_tokens":7}}}\n\n';

  test.each([
    ['[DONE]', TEXT_1 + USAGE, DONE],
    ['[DONE] with CRLF', crlf(TEXT_1 + USAGE), crlf(DONE)],
    ['[DONE] without a space', TEXT_1, 'data:[DONE]\n\n'],
    ['[DONE] after an event name', TEXT_1, 'event: done\ndata: [DONE]\n\n'],
    ['[DONE] and more', TEXT_1, `${DONE}: bye\n\n`],
    ['response.completed', TEXT_1, completed],
    ['response.failed', TEXT_1, failed],
    ['response.completed, then [DONE]', TEXT_1, completed + DONE],
  ])('%s waits for the end, with all after it, cut anywhere', (_name, before, terminal) => {
    for (const cuts of everyCut(before + terminal)) {
      const { scanner, passed, atEnd } = run(before + terminal, cuts);
      expect(scanner.terminal).toBe(true);
      expect(passed).toBe(before);
      expect(atEnd).toBe(terminal);
    }
  });

  test('is known with the push that brings its line, before the stream closes', () => {
    const scanner = new SseUsageScanner({ hideUsage: false, countTokens: null });
    scanner.push(encoder.encode(TEXT_1 + USAGE));
    expect(scanner.terminal).toBe(false);
    scanner.push(encoder.encode('data: [DONE]\n'));
    expect(scanner.terminal).toBe(true);
    expect(scanner.usage).toStrictEqual(COUNTED);
  });

  test('the words in a text are no end', () => {
    const event = 'data: {"choices":[{"delta":{"content":"data: [DONE] \\"response.completed\\""}}]}\n\ndata: [DONE] not\n\n';
    const { scanner, passed } = run(event);
    expect(scanner.terminal).toBe(false);
    expect(passed).toBe(event);
  });

  test('an endless tail after it is let go, memory stays bounded', () => {
    const scanner = new SseUsageScanner({ hideUsage: false, countTokens: null, maxEventBytes: 1000 });
    scanner.push(encoder.encode(DONE));
    for (let index = 0; index < 100; index++) expect(scanner.push(new Uint8Array(100))).toStrictEqual([]);
    const rest = scanner.end().reduce((sum, piece) => sum + piece.length, 0);
    expect(rest).toBeGreaterThanOrEqual(DONE.length);
    expect(rest).toBeLessThanOrEqual(1000);
  });

  test('after the end, bytes pass unread', () => {
    const { scanner } = run(TEXT_1);
    expect(join(scanner.push(encoder.encode(USAGE)))).toBe(USAGE);
    expect(scanner.usage).toBeNull();
    expect(scanner.end()).toStrictEqual([]);
  });
});

describe('events above the cap', () => {
  const huge = `data: {"choices":[{"delta":{"content":"${'x'.repeat(5000)}"}}],"usage":{"prompt_tokens":9,"completion_tokens":9}}\n\n`;

  test('pass unread, and reading goes on behind them, cut anywhere', () => {
    const stream = TEXT_1 + huge + USAGE + DONE;
    for (let cut = 0; cut < stream.length; cut += 7) {
      const { scanner, passed, atEnd } = run(stream, [cut, Math.min(cut + 900, stream.length)], { maxEventBytes: 1000, hideUsage: true });
      expect(passed + atEnd).toBe(TEXT_1 + huge + DONE);
      expect(scanner.terminal).toBe(true);
      expect(scanner.usage?.promptTokens).toBe(5);
    }
  });

  test('as whole events, though their lines are cut anywhere', () => {
    // The second line would be metered if the event were taken to end with the first.
    const first = `data: ${'x'.repeat(300)}`;
    const event = `${first}\ndata: {"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":9}}}\n\n`;
    const length = encoder.encode(event + USAGE).length;
    for (const cuts of [[first.length], [first.length + 1], [...Array(length).keys()]]) {
      const { scanner, passed, atEnd } = run(event + USAGE, cuts, { maxEventBytes: 200 });
      expect(passed + atEnd).toBe(event + USAGE);
      expect(scanner.usage).toStrictEqual(COUNTED);
    }
  });

  test.each([
    ['CRLF', crlf],
    ['CR', cr],
  ])('byte by byte, also with %s', (_name, form) => {
    const stream = form(TEXT_1 + huge + USAGE + DONE);
    const { scanner, passed, atEnd } = run(stream, [...Array(encoder.encode(stream).length).keys()], { maxEventBytes: 1000 });
    expect(passed + atEnd).toBe(stream);
    expect(scanner.usage).toStrictEqual(COUNTED);
  });

  test('a line of 4 MiB in small chunks takes linear time', () => {
    const scanner = new SseUsageScanner({ hideUsage: true, countTokens: null });
    const chunk = encoder.encode('x'.repeat(64));
    let passed = 0;
    const startedAt = performance.now();
    for (let index = 0; index < 100_000; index++) for (const piece of scanner.push(chunk)) passed += piece.length;
    for (const piece of scanner.end()) passed += piece.length;
    expect(passed).toBe(6_400_000);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

describe('counting', () => {
  test('the last nonzero value of each count, so that a cut stream still counts', () => {
    const continuous = [
      'data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}}\n\n',
      'data: {"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n',
      'data: {"choices":[{"delta":{"content":"c"}}],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n',
    ];
    const { scanner } = run(continuous.join(''));
    expect(scanner.usage).toStrictEqual({
      promptTokens: 5,
      completionTokens: 2,
      totalTokens: 7,
      cachedPromptTokens: 2,
      reasoningTokens: null,
    });
    // The chunk after the last report is not lost either.
    expect(scanner.estimatedOutputTokens()).toBe(3);
  });

  test('all text where nothing is reported: contents, reasoning, tool calls', () => {
    const deltas = [
      { content: 'one two ' },
      { reasoning_content: 'three ' },
      { tool_calls: [{ function: { name: 'four ', arguments: 'five six' } }] },
    ];
    const stream = deltas.map((delta) => `data: ${JSON.stringify({ choices: [{ delta }], usage: null })}\n\n`).join('');
    const { scanner } = run(`${stream}data: {"choices":[{"text":" seven"}]}\n\n`);
    expect(scanner.usage).toBeNull();
    expect(scanner.estimatedOutputTokens()).toBe(7);
  });

  test('the estimate grows while the stream runs, for checkpoints', () => {
    const scanner = new SseUsageScanner({ hideUsage: false, countTokens: countWords });
    scanner.push(encoder.encode(TEXT_2));
    expect(scanner.estimatedOutputTokens()).toBe(3);
    scanner.push(encoder.encode(TEXT_2));
    expect(scanner.estimatedOutputTokens()).toBe(6);
  });

  test('a long stream is counted to the last word though text is kept in bounded memory', () => {
    const scanner = new SseUsageScanner({ hideUsage: false, countTokens: countWords });
    const event = encoder.encode('data: {"choices":[{"delta":{"content":"five words are in here "}}]}\n\n');
    for (let index = 0; index < 10_000; index++) scanner.push(event);
    expect(scanner.estimatedOutputTokens()).toBe(50_000);
  });

  test('without a tokenizer three bytes are a token', () => {
    const { scanner } = run('data: {"choices":[{"delta":{"content":"sevenby"}}]}\n\n', [], { countTokens: null });
    expect(scanner.estimatedOutputTokens()).toBe(3);
  });

  test('the model that the usage chunk names', () => {
    expect(run(USAGE).scanner.model).toBe('m');
  });
});

test('a byte order mark before the first line, whole or cut, hides nothing', () => {
  for (const cuts of [[], [1], [2], [3], [1, 2, 3]]) {
    const { scanner, passed, atEnd } = run(`\ufeff${USAGE}${DONE}`, cuts, { hideUsage: true });
    expect(scanner.usage).toMatchObject({ promptTokens: 5 });
    expect(passed + atEnd).not.toContain('prompt_tokens');
  }
});
