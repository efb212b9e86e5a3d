import type { Dialect } from '../records.ts';
import { formatRfc3339 } from '../rfc3339.ts';
import type { RateStanding } from './rate-window.ts';

/** A length as OpenAI's headers tell it: `0s`, `12ms`, `6.5s`, `1m0s`. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.ceil(ms));
  if (whole === 0) return '0s';
  if (whole < 1000) return `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  const seconds = (whole % 60_000) / 1000;
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`;
}

/** Of the limits of one unit the one that leaves the least, of two that leave the same the smaller one. */
function tightest(rates: readonly RateStanding[], unit: RateStanding['unit']): RateStanding | null {
  let found: RateStanding | null = null;
  for (const rate of rates) {
    if (rate.unit !== unit) continue;
    const isTighter =
      found === null || rate.remaining < found.remaining || (rate.remaining === found.remaining && rate.limit < found.limit);
    if (isTighter) found = rate;
  }
  return found;
}

const UNITS = ['requests', 'tokens'] as const;

/**
 * How the limits of a call stand, as the clients of the API that it was made in read it; nothing for units without a limit. Of several
 * limits the tightest is told. Source: OpenAI's and Anthropic's documents on rate limits.
 */
export function rateHeaders(
  rates: readonly RateStanding[] | undefined,
  { dialect, nowMs }: { readonly dialect: Dialect; readonly nowMs: number },
): Record<string, string> {
  const headers: Record<string, string> = {};
  if (rates === undefined || rates.length === 0) return headers;
  for (const unit of UNITS) {
    const rate = tightest(rates, unit);
    if (rate === null) continue;
    const name = (what: string): string => (dialect === 'openai' ? `x-ratelimit-${what}-${unit}` : `anthropic-ratelimit-${unit}-${what}`);
    headers[name('limit')] = String(rate.limit);
    headers[name('remaining')] = String(rate.remaining);
    headers[name('reset')] = dialect === 'openai' ? formatDuration(rate.resetAtMs - nowMs) : formatRfc3339(rate.resetAtMs);
  }
  return headers;
}
