import { SYSTEM_TENANT, type RecordRef, type Webhook } from '../../core/records.ts';
import {
  DEFAULT_WEBHOOK_SECURITY,
  WEBHOOK_SECURITY,
  webhookSecurityOf,
  type WebhookSecurity,
} from '../../core/webhooks/webhook-security.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** Every subscription, as it was when it was last read. */
export interface Subscriptions {
  /** Those that may be sent events of a tenant: its own and the operator's. */
  of(tenantId: string): readonly Webhook[];
  all(): readonly Webhook[];
  /** Where webhooks may lead, as fresh as {@link Subscriptions.get}. */
  security(): Promise<WebhookSecurity>;
  /** The subscription as it is now, or was a moment ago where another node has changed it. */
  get(id: string): Promise<Webhook | undefined>;
  /** Reads what has changed since, by whichever node: after this everything that was committed before is known. */
  refresh(): Promise<void>;
  /** Says which records this node has changed. */
  recordsChanged(refs: readonly RecordRef[]): void;
  /** Grows whenever subscriptions were read anew. */
  readonly version: number;
}

/** Makes the memory of subscriptions, empty. It is read as a whole: what is handed out must not wait for a part of it. */
export function makeSubscriptions(deps: { readonly records: Pick<RecordStore, 'record' | 'records' | 'generation'> }): Subscriptions {
  const { records } = deps;
  let all: readonly Webhook[] = [];
  let byId = new Map<string, Webhook>();
  let byTenant = new Map<string, readonly Webhook[]>();
  let security = DEFAULT_WEBHOOK_SECURITY;
  let generation: number | null = null;
  let changes = 1;
  let readAt = 0;
  let version = 0;
  let reading: { readonly changes: number; readonly done: Promise<void> } | null = null;

  async function read(): Promise<void> {
    const startedAt = changes;
    const [found, setting] = await Promise.all([records.records('webhook'), records.record('setting', WEBHOOK_SECURITY)]);
    if (startedAt <= readAt) return;
    security = webhookSecurityOf(setting?.value);
    all = found;
    byId = new Map(found.map((webhook) => [webhook.id, webhook]));
    byTenant = Map.groupBy(found, ({ tenantId }) => tenantId);
    readAt = startedAt;
    version += 1;
  }

  /** Callers at the same moment share one read, unless something changed since it began. */
  async function readChanged(): Promise<void> {
    if (readAt === changes) return;
    if (reading?.changes !== changes) {
      const mine = { changes, done: read() };
      reading = mine;
      mine.done.then(
        () => (reading = reading === mine ? null : reading),
        () => (reading = reading === mine ? null : reading),
      );
    }
    await reading?.done;
  }

  return {
    of: (tenantId) => [...(byTenant.get(tenantId) ?? []), ...(tenantId === SYSTEM_TENANT ? [] : (byTenant.get(SYSTEM_TENANT) ?? []))],
    all: () => all,
    security: async () => {
      await readChanged();
      return security;
    },
    get: async (id) => {
      await readChanged();
      return byId.get(id);
    },
    refresh: async () => {
      const current = await records.generation();
      // Any change of any record counts here: subscriptions are few, and read in a moment.
      if (current !== generation) changes += 1;
      generation = current;
      await readChanged();
    },
    recordsChanged: (refs) => {
      if (refs.some(({ kind }) => kind === 'webhook' || kind === 'setting')) changes += 1;
    },
    get version() {
      return version;
    },
  };
}
