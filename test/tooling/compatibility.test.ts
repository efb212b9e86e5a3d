import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DocumentedSurface } from '../../src/api/_shared/openapi/operation.ts';
import { GOVERNANCE_SURFACE } from '../../src/api/cycles-governance/documented-surface.ts';
import { RUNTIME_SURFACE } from '../../src/api/cycles-runtime/documented-surface.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/compatibility.md'), 'utf8');

/** The operations that the first cells of the sections' rows name. */
function namedIn(title: string): Set<string> {
  const sections = PAGE.split('\n## ').filter((section) => section.startsWith(title));
  const cells = sections.flatMap((section) => section.split('\n').filter((line) => line.startsWith('| ')));
  return new Set(cells.flatMap((line) => Array.from(line.split(' | ', 1)[0]?.matchAll(/`(\w+)`/g) ?? [], ([, id = '']) => id)));
}

const idsOf = ({ operations }: DocumentedSurface): string[] =>
  Object.entries(operations).flatMap(([route, { id }]) => (route.includes('/x-castellan/') ? [] : [id]));

test.each([
  ['Cycles runtime', RUNTIME_SURFACE],
  ['Cycles governance', GOVERNANCE_SURFACE],
])('the page on compatibility tells of every operation of the surface %s', (title, surface) => {
  const named = namedIn(title);
  expect(idsOf(surface).length).toBeGreaterThan(8);
  expect(idsOf(surface).filter((id) => !named.has(id))).toEqual([]);
});
