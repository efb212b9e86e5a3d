import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EVENT_DATA } from '../../src/api/cycles-governance/schemas/event-data.ts';
import { EVENT_TYPES } from '../../src/core/cycles/event-types.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/events.md'), 'utf8');

/** The rows of the table of types: type, condition, data, once per. */
const rows = page
  .split('\n')
  .filter((line) => /^\| `[a-z_]+\.[a-z_]+` \|/.test(line))
  .map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  );

test('the page has every registered type, in the order of the document, with when it is told, its data and how often', () => {
  expect(rows.map(([type]) => type)).toEqual(EVENT_TYPES.map((type) => `\`${type}\``));
  for (const row of rows) {
    expect(row).toHaveLength(4);
    for (const cell of row) expect(cell).not.toBe('');
  }
});

test('whatever the page names as data is a field of the type’s data', () => {
  for (const [index, type] of EVENT_TYPES.entries()) {
    const { properties } = EVENT_DATA[type] as unknown as { readonly properties: object };
    const named = Array.from((rows[index]?.[2] ?? '').matchAll(/`([a-z_]+)`/g), ([, name = '']) => name);
    expect(Object.keys(properties)).toEqual(expect.arrayContaining(named));
  }
});

test('the receiver of the page takes what is signed, and nothing else', async () => {
  const code = /```js\n([^]*?)```/.exec(page)?.[1] ?? '';
  const module = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
    isSigned(body: Buffer, signature: string | undefined, secret: string): boolean;
  };
  const body = Buffer.from('{"event_id":"evt_1","text":"ä"}');
  const signature = `sha256=${createHmac('sha256', 'whsec_1').update(body).digest('hex')}`;
  expect(module.isSigned(body, signature, 'whsec_1')).toBe(true);
  expect(module.isSigned(body, signature, 'whsec_2')).toBe(false);
  expect(module.isSigned(Buffer.from('{"event_id":"evt_2","text":"ä"}'), signature, 'whsec_1')).toBe(false);
  expect(module.isSigned(body, undefined, 'whsec_1')).toBe(false);
});
