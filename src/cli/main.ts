import { processEnvironment } from '../server/config.ts';
import { runCli } from './program.ts';
import { makeSend } from './send.ts';
import { makeSurroundings } from './surroundings.ts';
import { makeTerminal } from './terminal.ts';

// What a command writes, a backup first of all, is its owner's business only.
process.umask(0o077);
const env = processEnvironment();
process.exitCode = await runCli(process.argv.slice(2), {
  env,
  terminal: makeTerminal(env),
  send: makeSend(),
  around: makeSurroundings(),
  nowMs: () => Date.now(),
});
