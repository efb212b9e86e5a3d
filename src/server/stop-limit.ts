/** What a stop may take for settling and closing, beside the time for requests and for the upstreams of those it cut. */
const CLOSING_MS = 15_000;

/** How long a stop may take as a whole, in milliseconds: after it the process ends anyway. */
export const stopLimitMs = (drainMs: number): number => 2 * drainMs + CLOSING_MS;

/** Waits for `work`; false where that takes longer than `limitMs`. */
export async function endsWithin(work: Promise<void>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), limitMs)));
  try {
    return await Promise.race([work.then(() => true), limit]);
  } finally {
    clearTimeout(timer);
  }
}
