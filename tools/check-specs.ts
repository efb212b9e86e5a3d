/**
 * Compares our descriptions of both Cycles planes with the published OpenAPI documents, field by field.
 *
 * The documents are no part of the project: they are looked for in the folder that the first argument or `CYCLES_SPECS` names, else in
 * `../shared/specs/cycles` beside the project. Where nobody named a folder and there is none, this says so and passes. A difference that
 * `tools/specs/declared.ts` does not give a reason for fails, and so does an entry there that is no longer one.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EVENT_DATA } from '../src/api/cycles-governance/schemas/event-data.ts';
import { compareDocuments, type Comparison } from './specs/compare-documents.ts';
import { compareEventData } from './specs/event-data.ts';
import { DECLARED } from './specs/declared.ts';
import { describedComponents, describedDocument } from './specs/described.ts';
import { judge } from './specs/judge.ts';
import { PLANES, type ComparedPlane } from './specs/planes.ts';
import { readPublished } from './specs/published.ts';

const root = join(import.meta.dirname, '..');

/** What the table of events' data says, by the titles of its schemas. */
const titles = (): Record<string, string> =>
  Object.fromEntries(Object.entries(EVENT_DATA).map(([type, schema]) => [type, String((schema as { readonly title?: unknown }).title)]));

function comparePlane(plane: ComparedPlane, folder: string): Comparison {
  const there = readPublished(join(folder, plane.file));
  const here = describedDocument(plane);
  const { named, schemas } = describedComponents(plane.unreferred);
  const compared = compareDocuments({
    there,
    here: { ...here, schemas: { ...schemas, ...here.schemas } },
    always: plane.always,
    unreferred: named,
  });
  const { enum: types } = (there.schemas['EventType'] ?? {}) as { readonly enum?: readonly string[] };
  const events = types === undefined ? [] : compareEventData({ types, schemas: there.schemas }, titles());
  return { ...compared, differences: [...compared.differences, ...events].map((each) => `${plane.name} ${each}`) };
}

function main(named: string | undefined): void {
  const folder = named === undefined ? join(root, '../shared/specs/cycles') : resolve(named);
  if (!existsSync(folder)) {
    console.log(`the published Cycles documents are not in ${folder}: nothing is compared`);
    process.exitCode = named === undefined ? 0 : 1;
    return;
  }
  const comparisons = PLANES.map((plane) => comparePlane(plane, folder));
  const differences = comparisons.flatMap((each) => each.differences);
  const faults = judge(differences, DECLARED);
  for (const fault of faults) console.log(fault);
  const sum = (pick: (each: Comparison) => number): number => comparisons.reduce((total, each) => total + pick(each), 0);
  const counts = `${sum((each) => each.operationCount)} operations, ${sum((each) => each.schemaCount)} schemas compared`;
  const declared = new Set(DECLARED.flatMap((each) => each.differences));
  const known = differences.filter((each) => declared.has(each)).length;
  console.log(`${counts}, ${known} declared differences${faults.length === 0 ? '' : `, ${faults.length} faults`}`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

main(process.argv[2] ?? process.env['CYCLES_SPECS']);
