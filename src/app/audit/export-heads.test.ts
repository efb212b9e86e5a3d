import { beforeEach, expect, test } from 'vitest';
import type { ChainEnd, PlaceState, TrailExport } from '../../ports/audit-trail.ts';
import type { Log } from '../../ports/log.ts';
import { makeExportHeads } from './export-heads.ts';

const end = (tenantId: string, no: number, hash = `${tenantId}${no}`): ChainEnd => ({ tenantId, no, hash });

let heads: ChainEnd[];
let written: ChainEnd[];
let folds: number;
let states: (ends: readonly ChainEnd[]) => PlaceState[];
let steps: string[];
let problem: Error | null;
let lines: { level: string; fields: Readonly<Record<string, unknown>> }[];

beforeEach(() => {
  heads = [end('acme', 1), end('zeta', 1)];
  written = [];
  folds = 0;
  states = (ends) => ends.map(() => 'stands');
  steps = [];
  problem = null;
  lines = [];
});

const line =
  (level: string) =>
  (fields: Readonly<Record<string, unknown>>): void =>
    void lines.push({ level, fields });
const log: Log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };

const file: TrailExport = {
  read: () => Promise.resolve({ exported: written, discrepancies: [] }),
  append: (ends) => {
    steps.push('append');
    if (problem !== null) return Promise.reject(problem);
    written.push(...ends);
    return Promise.resolve('sha');
  },
  fold: async (mayGo) => {
    folds += 1;
    const older = written.slice(0, -1);
    const may = await mayGo(older);
    written = [...older.filter((_, index) => may[index] !== true), ...written.slice(-1)];
  },
};

const make = (foldAbove = 100) =>
  makeExportHeads({
    store: {
      auditHeads: ({ afterTenantId, limit }) => Promise.resolve(heads.filter(({ tenantId }) => tenantId > afterTenantId).slice(0, limit)),
      auditPlaces: (ends) => Promise.resolve(states(ends)),
    },
    file,
    barrier: () => Promise.resolve(void steps.push('barrier')),
    clock: { nowMs: () => 5 },
    log,
    foldAbove,
  });

test('exports what has grown, once, after it is on the disk', async () => {
  const exportHeads = make();
  await exportHeads();
  heads = [end('acme', 2), end('zeta', 1)];
  await Promise.all([exportHeads(), exportHeads()]);
  expect(written).toEqual([end('acme', 1), end('zeta', 1), end('acme', 2)]);
  expect(steps).toEqual(['barrier', 'append', 'barrier', 'append']);
});

test('goes on from what a run before has exported', async () => {
  await make()();
  await make()();
  expect(written).toHaveLength(2);
});

test('tells of the ends of more tenants than one read holds', async () => {
  heads = Array.from({ length: 2500 }, (_, index) => end(`t${String(index).padStart(4, '0')}`, 1));
  await make()();
  expect(written).toEqual(heads);
  expect(lines).toMatchObject([{ fields: { count: 2500, ends: heads.slice(0, 20) } }]);
});

test('what could not be written is told of by the next export', async () => {
  const exportHeads = make();
  problem = new Error('the disk is full');
  await expect(exportHeads()).rejects.toThrow('the disk is full');
  problem = null;
  await exportHeads();
  expect(written).toHaveLength(2);
});

test('a chain that does not go on from where it was, or is gone, is an error in the log, once', async () => {
  const exportHeads = make();
  await exportHeads();
  heads = [end('acme', 9)];
  states = (ends) => ends.map(() => 'differs');
  await exportHeads();
  heads = [end('acme', 10)];
  await exportHeads();
  expect(lines.filter(({ level }) => level === 'error').map(({ fields }) => fields)).toEqual([
    { tenant: 'acme', exported: 1, found: 9 },
    { tenant: 'zeta', exported: 1, found: 0 },
  ]);
});

test('one whose rows were forgotten by age is none', async () => {
  const exportHeads = make();
  await exportHeads();
  heads = [end('acme', 9), end('zeta', 1)];
  states = (ends) => ends.map(() => 'forgotten');
  await exportHeads();
  expect(lines.map(({ level }) => level)).toEqual(['info', 'info']);
});

test('a long file is folded, but for what does not stand any more', async () => {
  const exportHeads = make(2);
  heads = [end('acme', 1)];
  for (let no = 1; no <= 4; no++) {
    heads = [end('acme', no)];
    states = (ends) => ends.map(({ no: place }) => (place === 2 ? 'differs' : 'stands'));
    await exportHeads();
  }
  expect(folds).toBe(1);
  expect(written).toEqual([end('acme', 2), end('acme', 4)]);
});
