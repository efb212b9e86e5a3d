import { createHash, createHmac } from 'node:crypto';
import { createReadStream, existsSync, renameSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ChainEnd, TrailExport, TrailWitness } from '../ports/audit-trail.ts';
import type { Discrepancy } from '../ports/discrepancy.ts';
import { StoreRefusal } from '../stores/_shared/migrations.ts';
import { syncFolderOf, writeFileDurably } from './data-folder.ts';
import { takeRunLock } from './run-identity.ts';

/** Where ends of the audit trail are kept in a data folder: a line of JSON each, only ever added to. */
const HEADS_FILE = 'audit-heads.jsonl';

/** Wrong lines that are named: one is enough to know. */
const REPORTED = 20;

/** A line of the file. `mac` is the HMAC-SHA256 of the rest under the trail's secret. */
interface HeadLine {
  readonly at: string;
  readonly tenant_id: string;
  readonly no: number;
  readonly hash: string;
  readonly mac: string;
}

/** The secret that vouches for the audit trail, drawn from the sealed one of the key table. */
export const trailSecretFrom = (keyHashSecret: Uint8Array): string =>
  createHmac('sha256', keyHashSecret).update('castellan audit trail').digest('hex');

const macOf = (secret: string, { at, tenant_id: tenantId, no, hash }: Omit<HeadLine, 'mac'>): string =>
  createHmac('sha256', secret)
    .update(JSON.stringify(['head', at, tenantId, no, hash]))
    .digest('hex');

/** A line, or null where it is none: a write that was broken off leaves half of one. */
function parseLine(text: string): HeadLine | null {
  let line: Partial<Record<keyof HeadLine, unknown>> | null;
  try {
    line = JSON.parse(text) as typeof line;
  } catch {
    return null;
  }
  const isWhole =
    typeof line?.at === 'string' &&
    typeof line.tenant_id === 'string' &&
    Number.isSafeInteger(line.no) &&
    typeof line.hash === 'string' &&
    typeof line.mac === 'string';
  return isWhole ? (line as HeadLine) : null;
}

/** Opens the file of a data folder; it is made by the first export. Without `secret` lines are taken as they are, and none can be added. */
export function openHeadsFile(dataDir: string, secret: string | null): TrailExport {
  const path = join(dataDir, HEADS_FILE);
  return {
    read: () => readLines(path, secret),
    append: async (ends, atMs) => {
      if (secret === null) throw new Error(`${HEADS_FILE} cannot be written without the secret of the trail`);
      const text = ends.map((end) => lineOf(secret, end, atMs)).join('');
      const isNew = !existsSync(path);
      const file = await open(path, 'a+', 0o600);
      try {
        const { size } = await file.stat();
        const isBroken = size > 0 && (await file.read({ position: size - 1, buffer: Buffer.alloc(1) })).buffer.toString() !== '\n';
        await file.writeFile(isBroken ? `\n${text}` : text);
        await file.sync();
      } finally {
        await file.close();
      }
      if (isNew) syncFolderOf(path);
      return createHash('sha256').update(text).digest('hex');
    },
    fold: async (mayGo) => {
      const text = await readFile(path, 'utf8');
      const lines = text.split('\n').filter((line) => line !== '');
      const ours = lines.map((line) => (secret === null ? null : signedEnd(secret, parseLine(line))));
      const newest = new Map<string, ChainEnd>();
      for (const end of ours) if (end !== null && end.no >= (newest.get(end.tenantId)?.no ?? 0)) newest.set(end.tenantId, end);
      const older = ours.filter((end) => end !== null && newest.get(end.tenantId) !== end) as ChainEnd[];
      const answers = await mayGo(older);
      const gone = new Set(older.filter((_, index) => answers[index] === true));
      const kept = lines.filter((_, index) => !gone.has(ours[index] as ChainEnd));
      if ((await stat(path)).size === Buffer.byteLength(text)) writeFileDurably(path, `${kept.join('\n')}\n`);
    },
  };
}

/** What a line of this server tells; null for any other. */
function signedEnd(secret: string, line: HeadLine | null): ChainEnd | null {
  return line === null || line.mac !== macOf(secret, line) ? null : { tenantId: line.tenant_id, no: line.no, hash: line.hash };
}

/** The trail's export of a data folder with the secret that vouches for it. */
export function openTrail(dataDir: string, keyHashSecret: Uint8Array): { readonly file: TrailExport; readonly secret: string } {
  const secret = trailSecretFrom(keyHashSecret);
  return { file: openHeadsFile(dataDir, secret), secret };
}

/**
 * Sets the file of a data folder aside, so that the export begins anew: what another database, or a later time of this one, had in its trail
 * says nothing about the one that is restored. Returns the name that it has from then on; null where there is none, or where a server runs on
 * the folder.
 */
export function setHeadsAside(dataDir: string, nowMs: number): string | null {
  const path = join(dataDir, HEADS_FILE);
  if (!existsSync(path) || isInUse(dataDir)) return null;
  const name = `audit-heads.until-${new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '')}.jsonl`;
  renameSync(path, join(dataDir, name));
  syncFolderOf(path);
  return name;
}

function isInUse(dataDir: string): boolean {
  try {
    takeRunLock(dataDir)?.release();
    return false;
  } catch (error) {
    if (error instanceof StoreRefusal) return true;
    throw error;
  }
}

function lineOf(secret: string, { tenantId, no, hash }: ChainEnd, atMs: number): string {
  const line = { at: new Date(atMs).toISOString(), tenant_id: tenantId, no, hash };
  return `${JSON.stringify({ ...line, mac: macOf(secret, line) })}\n`;
}

async function readLines(path: string, secret: string | null): Promise<Omit<TrailWitness, 'secret'>> {
  const exported: ChainEnd[] = [];
  const discrepancies: Discrepancy[] = [];
  if (!existsSync(path)) return { exported, discrepancies };
  let lineNo = 0;
  for await (const text of createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity })) {
    lineNo += 1;
    const line = parseLine(text);
    if (line === null) continue;
    if (secret === null || line.mac === macOf(secret, line)) exported.push({ tenantId: line.tenant_id, no: line.no, hash: line.hash });
    else if (discrepancies.length < REPORTED)
      discrepancies.push({
        check: 'audit: a line of the export is as it was written',
        subject: `${HEADS_FILE} ${lineNo}`,
        found: line.mac,
        // Never the right one: whoever changed the line would only have to ask.
        expected: 'a signature of this server',
      });
  }
  return { exported, discrepancies };
}
