import type { FastifyReply, FastifyRequest } from 'fastify';
import type { makeAcceptReport, ReportReceipt } from '../../../app/reports/accept-report.ts';
import type { makeReporterSecrets } from '../../../app/reports/manage-reporters.ts';
import { parseRfc3339 } from '../../../core/rfc3339.ts';
import { MAX_REPORT_SKEW_MS } from '../../../core/usage/usage-report.ts';
import type { Clock } from '../../../ports/clock.ts';
import { refuseDoubled } from '../../_shared/credentials.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { targetOf } from '../../_shared/request-target.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { isSignedBy } from '../report-signature.ts';

const HEADERS = {
  reporterId: 'x-tinfoil-reporter-id',
  timestamp: 'x-tinfoil-timestamp',
  nonce: 'x-tinfoil-nonce',
  signature: 'x-tinfoil-signature',
} as const;

/** Where reports are sent. */
export const REPORTS_PATH = '/api/internal/usage-reports';

const VALUE = /^[\x21-\x7e]{1,128}$/;
const NO_BODY = Buffer.alloc(0);

/** Largest report. A stock client sends a thousand events of half a kilobyte. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

/** What the headers of a report say, and the secrets that its reporter may sign with. */
interface ReportHead {
  readonly reporterId: string;
  readonly timestamp: string;
  readonly nonce: string;
  readonly signature: string;
  readonly secrets: readonly string[];
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The head of a usage report; set before its body is read. */
    usageReport: ReportHead;
  }
}

/** What the route needs. */
export interface UsageReportDeps {
  readonly acceptReport: ReturnType<typeof makeAcceptReport>;
  readonly reporterSecrets: ReturnType<typeof makeReporterSecrets>;
  readonly clock: Clock;
}

const unauthorized = (message: string, field?: string): RefusedRequest =>
  new RefusedRequest({ code: 'unauthorized', message, ...(field === undefined ? {} : { field }) });

/** Who does not exist and who cannot sign get the same answer. */
const NOT_SIGNED = 'the signature is not that of a known usage reporter';

/**
 * `POST /api/internal/usage-reports`: what another proxy metered, signed over the very bytes of its body.
 *
 * 401 for headers that are missing or wrong, a timestamp more than five minutes off (both before the body is read) and a wrong signature;
 * 409 for a delivery that was taken before. Everything else that is signed well is 200, with what became of each event that was not
 * booked. Source: Tinfoil reference section 5.
 */
export function mountUsageReports(app: TypedApp, deps: UsageReportDeps): void {
  const { acceptReport, clock } = deps;
  app.removeAllContentTypeParsers();
  // The bytes as they came, of whatever type they are called: they are signed, and no browser can sign.
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES }, (_request, body, done) => done(null, body));
  app.decorateRequest('usageReport');
  app.route({
    method: 'POST',
    url: REPORTS_PATH,
    bodyLimit: BODY_LIMIT_BYTES,
    onRequest: async (request) => {
      request.usageReport = await readHead(request, deps);
    },
    handler: async (request, reply): Promise<FastifyReply> => {
      const { reporterId, timestamp, nonce, signature, secrets } = request.usageReport;
      const body = Buffer.isBuffer(request.body) ? request.body : NO_BODY;
      const report = { method: request.method, path: targetOf(request).path, reporterId, timestamp, nonce, body };
      // Again: a body may take a while to come.
      refuseSkewed(timestamp, clock.nowMs());
      if (!isSignedBy(secrets, report, signature)) throw unauthorized(NOT_SIGNED);
      return reply.send(receiptObject(valueOf(await acceptReport({ reporterId, nonce, body }))));
    },
  });
}

async function readHead(request: FastifyRequest, deps: UsageReportDeps): Promise<ReportHead> {
  refuseDoubled(request, new Set(Object.values(HEADERS)));
  const read = (name: string): string => {
    const value = request.headers[name];
    if (typeof value === 'string' && VALUE.test(value)) return value;
    throw unauthorized(`the header ${name} is required, with 1 to 128 visible ASCII characters`, name);
  };
  const reporterId = read(HEADERS.reporterId);
  const timestamp = read(HEADERS.timestamp);
  const nonce = read(HEADERS.nonce);
  const signature = read(HEADERS.signature);
  const nowMs = deps.clock.nowMs();
  refuseSkewed(timestamp, nowMs);
  const secrets = await deps.reporterSecrets(reporterId, nowMs);
  if (secrets.length === 0) throw unauthorized(NOT_SIGNED);
  return { reporterId, timestamp, nonce, signature, secrets };
}

function refuseSkewed(timestamp: string, nowMs: number): void {
  const atMs = parseRfc3339(timestamp);
  if (atMs === null) throw unauthorized(`the header ${HEADERS.timestamp} must be an RFC 3339 timestamp`, HEADERS.timestamp);
  if (Math.abs(nowMs - atMs) <= MAX_REPORT_SKEW_MS) return;
  throw unauthorized(`the header ${HEADERS.timestamp} is more than five minutes off`, HEADERS.timestamp);
}

const receiptObject = ({ deliveryId, booked, unbooked }: ReportReceipt): object => {
  const count = (...statuses: string[]): number => unbooked.filter(({ status }) => statuses.includes(status)).length;
  return {
    delivery_id: deliveryId,
    accepted: booked,
    duplicates: count('duplicate', 'conflict'),
    quarantined: count('quarantined', 'invalid'),
    events: unbooked.map(({ eventId, status, reason, message }) => ({
      event_id: eventId,
      status,
      ...(reason === null ? {} : { reason }),
      ...(message === null ? {} : { message }),
    })),
  };
};
