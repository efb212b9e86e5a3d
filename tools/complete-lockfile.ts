import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingPlatformPackages } from './lockfile.ts';
import type { Lockfile } from './lockfile.ts';

/**
 * Adds to package-lock.json what `npm install` left out: the binary packages of platforms other than this machine's. Run it after an install
 * that changed the lockfile; `npm ci` refuses an incomplete one. The entries carry no checksum, so other platforms trust the registry's.
 */
const path = join(import.meta.dirname, '../package-lock.json');
const lockfile = JSON.parse(readFileSync(path, 'utf8')) as Lockfile;
const missing = missingPlatformPackages(lockfile);
const packages = Object.entries({ ...lockfile.packages, ...missing }).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
writeFileSync(path, `${JSON.stringify({ ...lockfile, packages: Object.fromEntries(packages) }, null, 2)}\n`);
console.log(`${Object.keys(missing).length} entries added`);
