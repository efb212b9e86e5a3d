import { readFileSync } from 'node:fs';

/** The version of this program, as its `package.json` says it; of a build without that file, nothing is known. */
export function programVersion(): string {
  try {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version?: unknown };
    return typeof version === 'string' ? version : 'unknown';
  } catch {
    return 'unknown';
  }
}
