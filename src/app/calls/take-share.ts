import { legAmount } from '../../core/ledger/reserve.ts';
import { countedTokens, minuteLimits } from '../../core/policy/minute-limits.ts';
import { SYSTEM_TENANT, type Upstream } from '../../core/records.ts';
import type { Rejection } from '../../core/rejection.ts';
import type { CommandWriter } from './call-types.ts';
import type { ActiveCall } from './keep-calls.ts';

/**
 * Takes a call's share of what the upstream that is about to be tried may take in a minute, as all nodes count it. Null where there is
 * room, and at once where it declares no limit or the call holds nothing; else the refusal, with how the call's own limits stand.
 */
export type TakeShare = (call: ActiveCall, upstream: Upstream) => Promise<Rejection | null> | null;

/** Makes {@link TakeShare}. Waits until the share is written, not until it is durable: the next minute begins with nothing anyway. */
export const makeTakeShare =
  ({ writer }: { readonly writer: Pick<CommandWriter, 'write'> }): TakeShare =>
  (call, upstream) => {
    const limits = minuteLimits('upstream', upstream);
    const [held] = call.legs;
    // A count of tokens holds nothing.
    if (limits.length === 0 || held === undefined) return null;
    const tokens = Number(legAmount(held, call.heldOutput));
    const { candidate } = call;
    const take = async (): Promise<Rejection | null> => {
      const id = `${call.id}.take${candidate}`;
      const { outcome, durable } = await writer.write({ verb: 'take-rate', id, tenantId: SYSTEM_TENANT, limits, tokens });
      durable.catch(() => undefined);
      if (!outcome.ok) return { ...outcome.rejection, rates: [...call.rates, ...(outcome.rejection.rates ?? [])] };
      const counted = countedTokens({ tenantId: SYSTEM_TENANT, limits, tokens }, outcome.value.rates);
      call.counted.push(...counted.map((each) => ({ ...each, tokens, candidate })));
      return null;
    };
    return take();
  };
