import type { Tokenizer, Tokenizers } from '../../ports/tokenizer.ts';
import { makeBytePairCounter, type Vocabulary } from './byte-pair-counter.ts';

/** Loads a vocabulary and the expression that cuts text for it. */
type Source = () => Promise<{ readonly vocabulary: Vocabulary; readonly split: RegExp }>;

// Imported only when a model declares the name: a vocabulary is two megabytes of source, a few hundred milliseconds of processor time.
const SOURCES: ReadonlyMap<string, Source> = new Map<string, Source>([
  [
    'o200k_base',
    async () => {
      const [ranks, patterns] = await Promise.all([
        import('gpt-tokenizer/bpeRanks/o200k_base'),
        import('gpt-tokenizer/encodingParams/constants'),
      ]);
      return { vocabulary: ranks.default, split: patterns.O200K_TOKEN_SPLIT_REGEX };
    },
  ],
  [
    'cl100k_base',
    async () => {
      const [ranks, patterns] = await Promise.all([
        import('gpt-tokenizer/bpeRanks/cl100k_base'),
        import('gpt-tokenizer/encodingParams/constants'),
      ]);
      return { vocabulary: ranks.default, split: patterns.CL100K_TOKEN_SPLIT_REGEX };
    },
  ],
]);

/** The tokenizers `o200k_base` and `cl100k_base`, each loaded at first use and then kept. */
export function makeTokenizers(): Tokenizers {
  const loading = new Map<string, Promise<Tokenizer>>();
  const ready = new Map<string, Tokenizer>();
  return {
    names: [...SOURCES.keys()],
    loaded: (name) => ready.get(name) ?? null,
    load: async (name) => {
      const source = SOURCES.get(name);
      if (source === undefined) return null;
      let pending = loading.get(name);
      if (pending === undefined) {
        pending = loadTokenizer(name, source).then((tokenizer) => {
          ready.set(name, tokenizer);
          return tokenizer;
        });
        loading.set(name, pending);
      }
      return pending;
    },
  };
}

async function loadTokenizer(name: string, source: Source): Promise<Tokenizer> {
  const { vocabulary, split } = await source();
  return { name, count: makeBytePairCounter(vocabulary, split) };
}
