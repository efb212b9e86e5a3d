import { buildRankTable, encodeRankTable, type Vocabulary } from './rank-table.ts';

// A process of its own, which prints the vocabulary that it is asked for as a table. A vocabulary is two megabytes of source and, while it is
// read, some eighty megabytes of memory, which neither a heap nor an ended thread gives back to the system.
const VOCABULARIES = new Map<string | undefined, () => Promise<{ readonly default: Vocabulary }>>([
  ['o200k_base', () => import('gpt-tokenizer/bpeRanks/o200k_base')],
  ['cl100k_base', () => import('gpt-tokenizer/bpeRanks/cl100k_base')],
]);

const name = process.argv[2];
const load = VOCABULARIES.get(name);
if (load === undefined) throw new Error(`there is no vocabulary ${name}`);
process.stdout.write(encodeRankTable(buildRankTable((await load()).default)));
