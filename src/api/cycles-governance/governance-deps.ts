import type { FailedCredentials } from '../../app/audit/failed-credentials.ts';
import type { RequestAudit } from '../../app/audit/request-audit.ts';
import type { CloseTenants } from '../../app/cycles/close-tenant.ts';
import type { KeyUses } from '../../app/cycles/key-uses.ts';
import type { Directory } from '../../app/directory.ts';
import type { EventServices } from '../../app/events/event-services.ts';
import type { LedgerWriter } from '../../app/ledger-writer.ts';
import type { PageCursors } from '../../app/page-cursors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { Ids } from '../../ports/ids.ts';
import type { LedgerStore } from '../../ports/ledger-store.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { WebhookStore } from '../../ports/webhook-store.ts';
import type { KeyHasher, SecretBox } from '../../ports/secret-box.ts';
import type { TypedApp } from '../_shared/typed-app.ts';

/** What the governance surface is made of. */
export interface GovernanceDeps {
  readonly operatorKey: string;
  readonly audit: RequestAudit;
  readonly failedCredentials: Pick<FailedCredentials, 'flush'>;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly store: LedgerStore;
  readonly records: RecordStore;
  readonly ids: Ids;
  readonly hasher: KeyHasher;
  readonly secretBox: SecretBox;
  readonly declared: DeclaredFields;
  readonly closeTenants: CloseTenants;
  readonly keyUses: KeyUses;
  readonly events: EventServices;
  /** Lists of events and deliveries. */
  readonly eventReads: Pick<WebhookStore, 'listEvents' | 'event' | 'deliveries'>;
  readonly log: Log;
}

/** The same for the routes of one resource, with the writer that their use cases share and the cursors of their lists. */
export interface GovernanceRouteDeps extends GovernanceDeps {
  readonly writer: LedgerWriter;
  readonly cursors: PageCursors;
}

/** Mounts the routes of one resource, with their whole paths, such as `/v1/admin/tenants`. */
export type GovernanceMount = (app: TypedApp, deps: GovernanceRouteDeps) => void;

/** How events name this part of the program. */
export const GOVERNANCE_SOURCE = 'cycles-admin';
