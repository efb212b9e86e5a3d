import type { RequestBound } from './bound-request.ts';

/**
 * A bound nowhere below any of the given ones, for a call that several models may answer: what its hold is made for. The choices and the
 * field of the limit are those of the first.
 */
export function widestBound([first, ...others]: readonly [RequestBound, ...RequestBound[]]): RequestBound {
  return others.reduce((wide, next) => {
    const media =
      wide.media === undefined || next.media === undefined
        ? (wide.media ?? next.media)
        : { ...wide.media, most: Math.max(wide.media.most, next.media.most) };
    return {
      ...wide,
      inputTokens: Math.max(wide.inputTokens, next.inputTokens),
      outputPerChoice: Math.max(wide.outputPerChoice, next.outputPerChoice),
      minOutputPerChoice: Math.max(wide.minOutputPerChoice, next.minOutputPerChoice),
      ...(media === undefined ? {} : { media }),
    };
  }, first);
}
