import { makeSealedEnd, type SealedEnd } from '../app/sealed/sealed-end.ts';
import { makeSealedKeys } from '../app/sealed/sealed-keys.ts';
import { startKeepSealedKeys } from '../jobs/keep-sealed-keys.ts';
import type { Job } from '../jobs/start-job.ts';
import type { LedgerWriter } from '../app/ledger-writer.ts';
import type { SealedKeyPolicy } from '../core/sealed/key-ring.ts';
import type { Clock } from '../ports/clock.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { SealedCrypto } from '../ports/sealed-crypto.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import type { Metrics } from '../telemetry/metrics/metrics.ts';
import type { Closers } from './closers.ts';

/** Makes this server the end of sealed calls, and starts what keeps their keys. */
export function composeSealed(
  deps: {
    readonly store: Pick<RecordStore, 'record'>;
    readonly secretBox: SecretBox;
    readonly ids: Ids;
    readonly clock: Clock;
    readonly log: Log;
    readonly closers: Closers;
    readonly sealedKeys: SealedKeyPolicy;
    readonly telemetry: { readonly metrics: Metrics };
  },
  writer: Pick<LedgerWriter, 'execute'>,
): { readonly end: SealedEnd; readonly job: Job } {
  const { store, secretBox, ids, clock, log, closers, sealedKeys: policy } = deps;
  const { sealedRequests, sealedKeys: made } = deps.telemetry.metrics;
  let loading: Promise<SealedCrypto> | null = null;
  // Its library is loaded at the first use.
  const crypto = (): Promise<SealedCrypto> =>
    (loading ??= import('../sealed/hpke-crypto.ts').then(({ makeHpkeCrypto }) => makeHpkeCrypto()));
  const onRotated = (): void => void (made.cell().value += 1);
  const keys = makeSealedKeys({ crypto, records: store, writer, secretBox, ids, clock, policy, onRotated, log });
  const job = startKeepSealedKeys({ keys, log });
  closers.add('keys of sealed calls', () => job.stop());
  return { end: makeSealedEnd({ keys, count: (outcome) => void (sealedRequests.cell(outcome).value += 1) }), job };
}
