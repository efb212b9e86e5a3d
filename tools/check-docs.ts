import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSource } from './source-rules.ts';

const root = join(import.meta.dirname, '..');
const paths = globSync('src/**/*.ts', { cwd: root })
  .map((path) => path.replaceAll('\\', '/'))
  .toSorted();
let faultCount = 0;
for (const path of paths) {
  for (const { line, message } of checkSource(path, readFileSync(join(root, path), 'utf8'))) {
    console.log(`${path}:${line} ${message}`);
    faultCount += 1;
  }
}
console.log(`${paths.length} files, ${faultCount} faults`);
process.exitCode = faultCount > 0 || paths.length === 0 ? 1 : 0;
