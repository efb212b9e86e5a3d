/**
 * What an upstream that speaks Anthropic's Messages API says a call used.
 *
 * There, `input_tokens` leaves out what was read from the cache and what was written into it; ours, like OpenAI's, is the whole prompt.
 * Source: Anthropic API reference, Usage and Streaming Messages.
 */
import { asCount, settleCounts, type TokenUsage } from './token-usage.ts';

/** Counts as they are reported, all of them cumulative; null is "not reported". */
export interface MessagesCounts {
  /** Prompt tokens that have to do with no cache. */
  readonly input: number | null;
  readonly cacheRead: number | null;
  readonly cacheWrite: number | null;
  readonly output: number | null;
  /** A part of `output`. */
  readonly thinking: number | null;
}

/** What one report holds: the counts of the call, and those of summaries that the upstream made for it, which come on top. */
export interface MessagesReport {
  readonly own: MessagesCounts;
  readonly compaction: MessagesCounts | null;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads the value of a `usage` field; null where it holds no count. */
export function readMessagesReport(value: unknown): MessagesReport | null {
  const usage = asObject(value);
  const own = usage === null ? null : readCounts(usage);
  if (usage === null || own === null) return null;
  const iterations = Array.isArray(usage['iterations']) ? (usage['iterations'] as readonly unknown[]) : [];
  let compaction: MessagesCounts | null = null;
  for (const iteration of iterations) {
    const fields = asObject(iteration);
    const counts = fields?.['type'] === 'compaction' ? readCounts(fields) : null;
    if (counts !== null) compaction = compaction === null ? counts : addCounts(compaction, counts);
  }
  return { own, compaction };
}

/** The later of two reports of one call, count by count: what is 0 or missing in `next` keeps what `previous` had. */
export const mergeMessagesReports = (previous: MessagesReport | null, next: MessagesReport): MessagesReport => ({
  own: mergeCounts(previous?.own ?? null, next.own),
  compaction: next.compaction === null ? (previous?.compaction ?? null) : mergeCounts(previous?.compaction ?? null, next.compaction),
});

/** The usage of a call: its prompt is input, cache reads and cache writes together. */
export function usageOfMessages({ own, compaction }: MessagesReport): TokenUsage {
  const counts = compaction === null ? own : addCounts(own, compaction);
  return settleCounts({
    prompt: (counts.input ?? 0) + (counts.cacheRead ?? 0) + (counts.cacheWrite ?? 0),
    completion: counts.output,
    total: null,
    cached: counts.cacheRead,
    reasoning: counts.thinking,
    cacheWrite: counts.cacheWrite,
  });
}

/** Usage from the value of a message's `usage`; null where that holds no count. */
export function messagesUsageFromObject(value: unknown): TokenUsage | null {
  const report = readMessagesReport(value);
  return report === null ? null : usageOfMessages(report);
}

function readCounts(usage: Fields): MessagesCounts | null {
  const counts = {
    input: asCount(usage['input_tokens']),
    cacheRead: asCount(usage['cache_read_input_tokens']),
    cacheWrite: asCount(usage['cache_creation_input_tokens']) ?? writesByLife(asObject(usage['cache_creation'])),
    output: asCount(usage['output_tokens']),
    thinking: asCount(asObject(usage['output_tokens_details'])?.['thinking_tokens']),
  };
  const { input, cacheRead, cacheWrite, output } = counts;
  return input === null && cacheRead === null && cacheWrite === null && output === null ? null : counts;
}

/** Cache writes that are reported by how long they live, and not in one sum. */
function writesByLife(creation: Fields | null): number | null {
  if (creation === null) return null;
  return add(asCount(creation['ephemeral_5m_input_tokens']), asCount(creation['ephemeral_1h_input_tokens']));
}

const COUNTS = ['input', 'cacheRead', 'cacheWrite', 'output', 'thinking'] as const;

const combine = (count: (name: (typeof COUNTS)[number]) => number | null): MessagesCounts => ({
  input: count('input'),
  cacheRead: count('cacheRead'),
  cacheWrite: count('cacheWrite'),
  output: count('output'),
  thinking: count('thinking'),
});

const addCounts = (a: MessagesCounts, b: MessagesCounts): MessagesCounts => combine((name) => add(a[name], b[name]));

const mergeCounts = (previous: MessagesCounts | null, next: MessagesCounts): MessagesCounts =>
  previous === null ? next : combine((name) => next[name] || (previous[name] ?? next[name]));

const add = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : a + b);

const asObject = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
