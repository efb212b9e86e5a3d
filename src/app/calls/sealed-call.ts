import type { SealedPrice } from '../../core/sealed/settle-sealed.ts';
import type { CallPlan, PlannedCandidate } from './call-plan.ts';
import type { CallRequest } from './call-types.ts';
import type { ReadAhead } from './read-ahead.ts';

/**
 * A call whose body nobody here can read. `enclaveUrl` is the upstream that it is sealed for, as the caller names it, and `model` what it
 * says that it asks for, null where it says nothing. `onlyCounts`: the route counts the tokens of a request and runs no model.
 */
export interface SealedCallRequest extends Omit<CallRequest, 'body'> {
  readonly enclaveUrl: string;
  readonly model: string | null;
  readonly onlyCounts: boolean;
  /** How long the body is; null where that is not told before its end. */
  readonly bodyBytes: number | null;
  /**
   * The body as it comes. It throws {@link CallerLeft} where the caller leaves before its end; whatever else it throws ends the call too, and is
   * passed on to whoever runs the call.
   */
  readonly body: AsyncIterator<Uint8Array>;
  /** What was read of it before; absent: nothing. */
  readonly ahead?: ReadAhead;
}

/** The caller of a sealed call left before its body was whole. */
export class CallerLeft extends Error {
  constructor(options?: { readonly cause?: unknown }) {
    super('the caller left before its body was whole', options);
  }
}

/** A sealed call that is ready to be held: a plan whose candidates are the ways in which it may be priced, all at one upstream. */
export interface SealedPlan extends CallPlan {
  /** Where it goes: the address as it was declared. */
  readonly enclaveUrl: string;
  /** The ways in which it may be priced, in the order of the candidates. */
  readonly prices: readonly SealedPrice[];
  /** Whether it is held, and expected to be booked, for a model that its caller named. */
  readonly isNamed: boolean;
  readonly onlyCounts: boolean;
  readonly ahead: ReadAhead;
}

/** The upstream of a sealed call: every candidate is there. */
export const upstreamOfSealed = ({ candidates }: Pick<SealedPlan, 'candidates'>): PlannedCandidate['upstream'] => {
  const [first] = candidates;
  if (first === undefined) throw new Error('a sealed call has a price');
  return first.upstream;
};
