import { expect, test } from 'vitest';
import { makeProgressLine } from './progress.ts';

function shownOn(isLive: boolean): string {
  let text = '';
  const line = makeProgressLine({ err: (more) => (text += more), isLive });
  for (const share of [0, 0.001, 0.5]) line.show('copying', share);
  line.show('verifying', null);
  line.end();
  return text;
}

test('on a terminal, one line changes and is taken away in the end', () => {
  const clear = '\r\u001b[2K';
  expect(shownOn(true)).toBe(`${clear}copying 0 %${clear}copying 50 %${clear}verifying ...${clear}`);
});

test('elsewhere, each thing that begins is a line', () => {
  expect(shownOn(false)).toBe('copying ...\nverifying ...\n');
});
