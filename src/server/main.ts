import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Keeps compiled code beside the packages, so that every start but the first saves the time to compile it. Where that folder cannot be
// written nothing is lost but the time. Not in the system's temporary folder: others could put code there.
enableCompileCache(join(import.meta.dirname, '../../node_modules/.cache/castellan'));
const { run } = await import('./run.ts');
await run();
