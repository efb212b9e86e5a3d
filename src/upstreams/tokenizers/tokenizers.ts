import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Tokenizer, Tokenizers } from '../../ports/tokenizer.ts';
import { makeBytePairCounter } from './byte-pair-counter.ts';
import { decodeRankTable, type RankTable } from './rank-table.ts';
import { readKept, keep } from './kept-tables.ts';

/** The expression that cuts text for each vocabulary, by name. */
const SPLITS: ReadonlyMap<string, () => Promise<RegExp>> = new Map([
  ['o200k_base', async () => (await import('gpt-tokenizer/encodingParams/constants')).O200K_TOKEN_SPLIT_REGEX],
  ['cl100k_base', async () => (await import('gpt-tokenizer/encodingParams/constants')).CL100K_TOKEN_SPLIT_REGEX],
]);

/** The tokenizers `o200k_base` and `cl100k_base`, each loaded at first use and kept. */
export function makeTokenizers(): Tokenizers {
  const loading = new Map<string, Promise<Tokenizer>>();
  const ready = new Map<string, Tokenizer>();
  return {
    names: [...SPLITS.keys()],
    loaded: (name) => ready.get(name) ?? null,
    load: async (name) => {
      const split = SPLITS.get(name);
      if (split === undefined) return null;
      let pending = loading.get(name);
      if (pending === undefined) {
        pending = loadTokenizer(name, split).then((tokenizer) => {
          ready.set(name, tokenizer);
          return tokenizer;
        });
        loading.set(name, pending);
        // What could not be started now may be startable later.
        pending.catch(() => loading.delete(name));
      }
      return pending;
    },
  };
}

async function loadTokenizer(name: string, split: () => Promise<RegExp>): Promise<Tokenizer> {
  const [table, expression] = await Promise.all([tableOf(name), split()]);
  return { name, count: makeBytePairCounter(table, expression) };
}

/** The table of a vocabulary has some four megabytes; more than this would be something else. */
const MAX_TABLE_BYTES = 64 * 1024 * 1024;

async function tableOf(name: string): Promise<RankTable> {
  const kept = await readKept(name);
  if (kept !== null) return decodeRankTable(kept);
  const made = await makeTable(name);
  const table = decodeRankTable(made);
  await keep(name, made);
  return table;
}

/** Reads a vocabulary in a process of its own, so that neither its time nor its memory is this one's. */
function makeTable(name: string): Promise<Uint8Array> {
  const script = new URL(`./print-vocabulary${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
  return new Promise((resolve, reject) => {
    const args = [fileURLToPath(script), name];
    execFile(process.execPath, args, { encoding: 'buffer', maxBuffer: MAX_TABLE_BYTES, windowsHide: true }, (error, printed) => {
      if (error !== null) return reject(new Error(`the vocabulary ${name} could not be read: ${error.message}`, { cause: error }));
      resolve(printed);
    });
  });
}
