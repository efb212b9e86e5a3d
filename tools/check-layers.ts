import { join } from 'node:path';
import { inspectLayers } from './layers.ts';

const report = await inspectLayers(join(import.meta.dirname, '..'));
for (const { rule, from, to } of report.violations) console.log(`${rule}: ${from} imports ${to}`);
for (const file of report.unseen) console.log(`not seen by the cruiser: ${file}`);
if (report.seenCount === 0) console.log('no source file was seen, so nothing was checked');
console.log(`${report.seenCount} modules, ${report.violations.length} violations`);
process.exitCode = report.violations.length + report.unseen.length > 0 || report.seenCount === 0 ? 1 : 0;
