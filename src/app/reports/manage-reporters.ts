import { sealIdentity, SYSTEM_TENANT, type UsageReporter } from '../../core/records.ts';
import { accepted, rejected, type Outcome, type Rejection } from '../../core/rejection.ts';
import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { refuseDeclared } from '../refuse-declared.ts';

/** A reporter to be made. Without a `secret` one is made. */
export interface NewReporter {
  readonly id: string;
  readonly tenants: readonly string[];
  readonly secret: string | null;
}

/**
 * What may change of a reporter. `secret` null makes a new one; the one before it is good for `graceMs` more. `declaredAs` are the names of
 * the fields in the configuration file.
 */
export interface ReporterChanges {
  readonly tenants?: readonly string[];
  readonly secret?: { readonly plaintext: string | null; readonly graceMs: number };
  readonly declaredAs: readonly string[];
}

/** A reporter, with its secret where it was just made here: it is told this once. */
export interface ReporterWithSecret {
  readonly reporter: UsageReporter;
  readonly madeSecret: string | null;
}

/** What the operator does with usage reporters. */
export interface ReporterManagement {
  /** Rejects: `invalid_request` (secret), then as `put-usage-reporter`. */
  create(actor: Actor, reporter: NewReporter): Promise<Outcome<ReporterWithSecret>>;
  /** Rejects: `managed_by_file`, `invalid_request` (secret), then as `update-usage-reporter`. */
  update(actor: Actor, id: string, changes: ReporterChanges): Promise<Outcome<ReporterWithSecret>>;
  /** Rejects: `managed_by_file`, then as `remove-record`. */
  remove(actor: Actor, id: string): Promise<Outcome<{ readonly id: string }>>;
  /** Rejects: `not_found`. */
  find(id: string): Promise<Outcome<UsageReporter>>;
  /** All reporters, ordered by id. */
  list(): Promise<UsageReporter[]>;
}

/** Random bytes of a secret that we make: as many as the hash that it keys. */
const SECRET_BYTES = 32;

const SECRET = /^[\x20-\x7e]{1,512}$/;

const refuseSecret = (secret: string | null): Rejection | null =>
  secret === null || SECRET.test(secret)
    ? null
    : { code: 'invalid_request', message: 'secret must have 1 to 512 printable ASCII characters', field: 'secret' };

/** Makes the {@link ReporterManagement}. */
export function makeReporterManagement(deps: {
  writer: Pick<LedgerWriter, 'execute'>;
  records: Pick<RecordStore, 'record' | 'records'>;
  ids: Pick<Ids, 'next' | 'token'>;
  secretBox: Pick<SecretBox, 'seal'>;
  declared: DeclaredFields;
}): ReporterManagement {
  const { writer, records, ids, secretBox, declared } = deps;
  const base = (actor: Actor, name: string, id: string) =>
    auditedBase(ids, actor, { name, tenantId: SYSTEM_TENANT, resourceKind: 'usage-reporter', resourceId: id });
  const refuseFile = (id: string, fields: readonly string[]): Rejection | null =>
    refuseDeclared(declared, { kind: 'usage-reporter', id }, fields);

  const sealed = (id: string, given: string | null): { sealed: string; madeSecret: string | null } => {
    const madeSecret = given === null ? ids.token(SECRET_BYTES) : null;
    return { sealed: secretBox.seal(given ?? madeSecret ?? '', sealIdentity('usage-reporter', id)), madeSecret };
  };

  return {
    list: () => records.records('usage-reporter'),
    find: async (id) => {
      const reporter = await records.record('usage-reporter', id);
      return reporter === undefined ? rejected({ code: 'not_found', message: `usage reporter ${id} not found` }) : accepted(reporter);
    },
    create: async (actor, { id, tenants, secret }) => {
      const refusal = refuseSecret(secret);
      if (refusal !== null) return rejected(refusal);
      const { sealed: secretSealed, madeSecret } = sealed(id, secret);
      const outcome = await writer.execute({
        verb: 'put-usage-reporter',
        ...base(actor, 'create-usage-reporter', id),
        reporter: { id, secretSealed, previous: null, tenants },
        replace: false,
      });
      return outcome.ok ? accepted({ reporter: outcome.value, madeSecret }) : outcome;
    },
    update: async (actor, id, { tenants, secret, declaredAs }) => {
      const refusal = refuseFile(id, declaredAs) ?? refuseSecret(secret?.plaintext ?? null);
      if (refusal !== null) return rejected(refusal);
      const rotated = secret === undefined ? null : { ...sealed(id, secret.plaintext), graceMs: secret.graceMs };
      const outcome = await writer.execute({
        verb: 'update-usage-reporter',
        ...base(actor, 'update-usage-reporter', id),
        reporterId: id,
        ...(tenants === undefined ? {} : { tenants }),
        ...(rotated === null ? {} : { secret: { sealed: rotated.sealed, graceMs: rotated.graceMs } }),
      });
      return outcome.ok ? accepted({ reporter: outcome.value, madeSecret: rotated?.madeSecret ?? null }) : outcome;
    },
    remove: async (actor, id) => {
      const refusal = refuseFile(id, ['id']);
      if (refusal !== null) return rejected(refusal);
      return writer.execute({ verb: 'remove-record', ...base(actor, 'remove-usage-reporter', id), kind: 'usage-reporter', recordId: id });
    },
  };
}

/**
 * Makes the look-up of the secrets by which a reporter may sign at `nowMs`, the present one first; none where there is no such reporter.
 * Asks the store: a secret that was taken away is good nowhere from that moment on.
 */
export function makeReporterSecrets(deps: { records: Pick<RecordStore, 'record'>; secretBox: Pick<SecretBox, 'open'> }) {
  return async (id: string, nowMs: number): Promise<string[]> => {
    const reporter = await deps.records.record('usage-reporter', id);
    if (reporter === undefined) return [];
    const { secretSealed, previous } = reporter;
    const isPreviousGood = previous !== null && (previous.untilMs === null || nowMs < previous.untilMs);
    const sealed = isPreviousGood ? [secretSealed, previous.secretSealed] : [secretSealed];
    return sealed.map((each) => deps.secretBox.open(each, sealIdentity('usage-reporter', id)));
  };
}
