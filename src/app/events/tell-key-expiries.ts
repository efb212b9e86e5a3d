import type { Ids } from '../../ports/ids.ts';
import type { WebhookStore } from '../../ports/webhook-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** Keys that one run tells of; there is another at once where there were as many. */
const LIMIT = 200;

/** Makes what tells of keys whose time is over, each once. Source: Cycles governance, `api_key.expired`. */
export function makeTellKeyExpiries(deps: {
  readonly store: Pick<WebhookStore, 'untoldKeyExpiries'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
}) {
  const { store, writer, ids } = deps;
  return async (): Promise<{ readonly more: boolean }> => {
    const keys = await store.untoldKeyExpiries({ limit: LIMIT });
    const told = await Promise.all(
      keys.map(({ id: keyId, tenantId }) => writer.execute({ verb: 'tell-key-expiry', id: ids.next('cmd'), tenantId, keyId })),
    );
    // Where none was told, a batch's time lags, or another node was faster: asking again at once would spin.
    return { more: keys.length === LIMIT && told.some((outcome) => outcome.ok && outcome.value) };
  };
}
