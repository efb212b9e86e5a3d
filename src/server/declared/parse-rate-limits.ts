import { MAX_REQUESTS_PER_MINUTE, MAX_TOKENS_PER_MINUTE } from '../../core/policy/minute-limits.ts';
import type { RateLimits } from '../../core/records.ts';
import type { Field } from './field.ts';

/** Reads `rate_limits` of a key, a model or an upstream; null takes them away. */
export function parseRateLimits(field: Field): RateLimits | null {
  return field.or(null, (limits) => {
    const given = limits.fields(['requests_per_minute', 'tokens_per_minute']);
    const requestsPerMinute = given.requests_per_minute.or(null, (f) => f.integer({ min: 1, max: MAX_REQUESTS_PER_MINUTE }));
    const tokensPerMinute = given.tokens_per_minute.or(null, (f) => f.integer({ min: 1, max: MAX_TOKENS_PER_MINUTE }));
    if (requestsPerMinute === null && tokensPerMinute === null)
      limits.fail('must give requests_per_minute or tokens_per_minute, or be null');
    return { requestsPerMinute, tokensPerMinute };
  });
}
