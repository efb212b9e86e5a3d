import type { DeliveryRound, WebhookStore } from '../../ports/webhook-store.ts';

/** Writes rounds, those that come while others are written in one transaction. */
export interface RoundWriter {
  /** Whether the round's lease was good; rejects with the store's `Fault`. */
  write(round: DeliveryRound): Promise<boolean>;
}

interface Waiting {
  readonly round: DeliveryRound;
  readonly resolve: (isGood: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Rounds of one transaction, which the ledger's next batch may have to wait for. */
const MAX_ROUNDS = 100;

/** Makes the writer. Of one subscription a transaction has one round: each looks at what the one before has written. */
export function makeRoundWriter(store: Pick<WebhookStore, 'writeRounds'>): RoundWriter {
  let waiting: Waiting[] = [];
  let isWriting = false;

  async function writeAll(): Promise<void> {
    if (isWriting) return;
    isWriting = true;
    while (waiting.length > 0) {
      const now: Waiting[] = [];
      const later: Waiting[] = [];
      const seen = new Set<string>();
      for (const each of waiting) {
        const { webhookId } = each.round.lease;
        const goes = now.length < MAX_ROUNDS && !seen.has(webhookId);
        seen.add(webhookId);
        (goes ? now : later).push(each);
      }
      waiting = later;
      try {
        const good = await store.writeRounds(now.map(({ round }) => round));
        for (const [index, each] of now.entries()) each.resolve(good[index] === true);
      } catch (error) {
        for (const each of now) each.reject(error);
      }
    }
    isWriting = false;
  }

  return {
    write: (round) =>
      new Promise((resolve, reject) => {
        waiting.push({ round, resolve, reject });
        void writeAll();
      }),
  };
}
