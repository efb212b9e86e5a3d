import { makeIssueStatements } from '../../../src/app/bills/issue-statements.ts';
import type { UsageEvent } from '../../../src/core/usage/usage-event.ts';
import { sha256Digest } from '../../../src/server/secrets/sha256-digest.ts';
import { makeRecordingFailpoints } from '../../support/fakes.ts';
import { usageEvent, type TestApp } from '../../support/test-app.ts';

/** A bill as the operator sees it. */
export interface BillObject {
  readonly id: string;
  readonly number: string;
  readonly invoice_url: string | null;
  readonly total_usd: number;
  readonly lines?: readonly object[];
}

let usageCount = 0;

/** Puts usage of a tenant's key into the store. */
export function use(at: TestApp, fields: Pick<UsageEvent, 'tenantId' | 'keyId' | 'atMs'> & Partial<UsageEvent>): void {
  at.store.addUsage(usageEvent({ id: `used_${++usageCount}`, promptTokens: 1000, completionTokens: 20, ...fields }));
}

/** Issues what is due now. */
export async function issue(at: TestApp): Promise<void> {
  const { store, writer, ids, clock, log } = at;
  const job = makeIssueStatements({ writer, records: store, ids, clock, digest: sha256Digest, failpoints: makeRecordingFailpoints(), log });
  await job.run();
}

/** The bills of a tenant, newest first. */
export async function billsOf(at: TestApp, tenantId: string): Promise<BillObject[]> {
  const { status, json } = await at.operator('GET', `/v1/x-castellan/tenants/${tenantId}/bills`);
  if (status !== 200) throw new Error(`the bills of ${tenantId}: ${status}`);
  return (json as { bills: BillObject[] }).bills;
}

/** The path of a bill's page. */
export const pathOf = ({ invoice_url: url }: Pick<BillObject, 'invoice_url'>): string => new URL(url ?? 'about:blank').pathname;
