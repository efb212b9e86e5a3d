import { createHash } from 'node:crypto';
import type { BillState, Statement, StatementLine, StatementLines } from '../../core/bills/bill-records.ts';
import { contentOf } from '../../core/bills/make-statement.ts';
import type { Discrepancy } from '../../ports/discrepancy.ts';

/** What verification reads of bills: statements by tenant and id, each with its lines' body, null where there is none. */
export interface StatementRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly body: string;
  readonly lines: string | null;
}

/** What a tenant was charged for all that it used, in USD_MICROCENTS, and how far its bills say that they have come. */
export interface BilledTenant {
  readonly tenant_id: string;
  readonly charged: bigint;
  readonly state: string | null;
}

/** Rows of every statement. Index: statements_of_tenant, and the primary key of its lines. */
export const STATEMENT_ROWS = `
  SELECT s.tenant_id, s.id, CAST(s.body AS text) AS body, CAST(l.body AS text) AS lines
  FROM statements s LEFT JOIN statement_lines l ON l.id = s.id ORDER BY s.tenant_id, s.id`;

/** What was used by every tenant that has bills, folded or not. */
export const BILLED_TENANTS = `
  SELECT b.id AS tenant_id, CAST(b.body AS text) AS state, CAST(
    coalesce((SELECT sum(charge_microcents) FROM usage_rollups
              WHERE tenant_id = b.id AND level_ms = 0 AND bucket_ms = 0 AND key_id = ''), 0)
    + coalesce((SELECT sum(charge_microcents) FROM usage_tail WHERE tenant_id = b.id), 0) AS bigint) AS charged
  FROM bill_states b ORDER BY b.id`;

/** Walks a tenant's statements in the order of their numbers: each says what it said, and together they bill what was used, at most. */
export class StatementCheck {
  readonly #found: Discrepancy[] = [];
  readonly #ofTenant = new Map<string, Statement[]>();
  readonly #billed = new Map<string, bigint>();

  row({ tenant_id: tenantId, id, body, lines: linesBody }: StatementRow): void {
    const statement = read<Statement>(body);
    const lines = linesBody === null ? null : linesIn(linesBody);
    const subject = `${tenantId} ${id}`;
    if (statement === null || lines === null)
      return this.#tell('statement: it can be read', subject, 'what is no statement', 'a statement');
    try {
      const hash = createHash('sha256').update(contentOf(statement, lines)).digest('hex');
      if (hash !== statement.hash) this.#tell('statement: it says what was issued', subject, statement.hash, hash);
      const sum = lines.reduce((total, line) => total + BigInt(line.chargeMicrocents), 0n);
      if (sum.toString() !== statement.totalMicrocents)
        this.#tell('statement: its total is the sum of its lines', subject, statement.totalMicrocents, `${sum}`);
      const usage = lines.reduce((total, line) => (line.kind === 'usage' ? total + BigInt(line.chargeMicrocents) : total), 0n);
      this.#billed.set(tenantId, (this.#billed.get(tenantId) ?? 0n) + usage);
    } catch {
      this.#tell('statement: it can be read', subject, 'what is no statement', 'a statement');
    }
    if (statement.id !== id || statement.tenantId !== tenantId) this.#tell('statement: it is under its id', subject, statement.id, id);
    const known = this.#ofTenant.get(tenantId);
    if (known === undefined) this.#ofTenant.set(tenantId, [statement]);
    else known.push(statement);
  }

  tenant({ tenant_id: tenantId, charged, state: stateBody }: BilledTenant): void {
    const statements = (this.#ofTenant.get(tenantId) ?? []).toSorted((a, b) => a.no - b.no);
    this.#ofTenant.delete(tenantId);
    const state = stateBody === null ? null : read<BillState>(stateBody);
    for (const [index, { id, no, previousHash }] of statements.entries()) {
      const before = statements[index - 1]?.hash ?? '';
      if (no === index + 1 && previousHash === before) continue;
      this.#tell(
        'statement: it follows the one before',
        `${tenantId} ${id}`,
        `${no} after ${previousHash}`,
        `${index + 1} after ${before}`,
      );
      break;
    }
    const last = `${statements.length} ${statements.at(-1)?.hash ?? ''}`;
    if (`${state?.lastNo} ${state?.lastHash}` !== last)
      this.#tell('statement: none is missing at the end', tenantId, last, `${state?.lastNo} ${state?.lastHash}`);
    const billed = this.#billed.get(tenantId) ?? 0n;
    if (billed > charged) this.#tell('statement: what is billed was used', tenantId, `${billed}`, `at most ${charged}`);
  }

  /** To be asked when every row and every tenant was told. */
  end(): Discrepancy[] {
    for (const tenantId of this.#ofTenant.keys()) this.#tell('statement: its tenant is billed', tenantId, 'statements', 'none');
    return this.#found;
  }

  #tell(check: string, subject: string, found: string, expected: string): void {
    this.#found.push({ check, subject, found, expected });
  }
}

function linesIn(body: string): readonly StatementLine[] | null {
  const lines: unknown = read<StatementLines>(body)?.lines;
  return Array.isArray(lines) ? (lines as readonly StatementLine[]) : null;
}

function read<T extends object>(body: string): T | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as T) : null;
  } catch {
    return null;
  }
}
