import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Actor } from '../../app/audited-command.ts';
import type { RequestAudit } from '../../app/audit/request-audit.ts';
import { REJECTIONS, type RejectionCode } from '../../core/rejection.ts';
import type { AuditAnswers } from '../../core/verb.ts';
import type { Operations } from './openapi/operation.ts';
import type { ErrorForm, Problem } from './problem.ts';
import { traceOf } from './trace-context.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** How the surface answers, where its requests are audited. */
    auditAnswers?: AuditAnswers;
    /** Why the request was refused, once it is. */
    problem?: Problem;
  }
}

const MAX_USER_AGENT = 512;

/** What the audit tells of a request whoever sent it: its ids, where it came from, and how the surface answers. */
export function requestFacts(
  request: FastifyRequest,
): Pick<Actor, 'requestId' | 'traceId' | 'traceFlags' | 'sourceIp' | 'userAgent' | 'answers'> {
  const userAgent = request.headers['user-agent'];
  const { traceId, flags } = request.trace ?? traceOf(request.headers);
  return {
    requestId: request.id,
    traceId,
    ...(flags === null ? {} : { traceFlags: flags }),
    sourceIp: request.ip,
    ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, MAX_USER_AGENT) }),
    ...(request.auditAnswers === undefined ? {} : { answers: request.auditAnswers }),
  };
}

/** The code of an error in a surface's form. */
function codeOf(body: object): string {
  const { code, error } = body as { readonly code?: unknown; readonly error?: unknown };
  return typeof code === 'string' ? code : typeof error === 'string' ? error : 'ERROR';
}

function refusedAnswers(form: ErrorForm, auditCodeOf: ((code: Problem['code']) => string) | undefined): AuditAnswers['refused'] {
  const codes = Object.keys(REJECTIONS) as RejectionCode[];
  return Object.fromEntries(
    codes.map((code) => {
      const { status, body } = form({ code, message: '' }, '');
      return [code, [status, auditCodeOf?.(code) ?? codeOf(body)]];
    }),
  );
}

/** The status of what an operation does: the one of what it makes anew, where there are several. */
const doneStatus = (operations: Operations, operation: string): number =>
  Math.max(200, ...Object.keys(operations[operation]?.answers ?? {}).map(Number));

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a refusal leaves a row: that of a change always, and that of a read where somebody asked for what is not theirs. */
const isAudited = (method: string, status: number): boolean => (READS.has(method) ? status === 403 : status >= 400 && status <= 500);

/**
 * Sees to it that the refused requests of a surface leave a row in the audit trail where no command of theirs did: those whose body breaks a
 * rule, whose credential lacks a permission, or that find nothing. `principalOf` tells who asks and whose row it is; null where no good
 * credential came, which is counted elsewhere. To be called before the hook that lets requests in.
 */
export function addAudit(
  app: FastifyInstance,
  options: {
    readonly audit: RequestAudit;
    readonly form: ErrorForm;
    /** The code of a problem, where the surface's form tells none. */
    readonly auditCodeOf?: (code: Problem['code']) => string;
    readonly operations: Operations;
    readonly principalOf: (request: FastifyRequest) => { readonly actor: Actor; readonly tenantId: string } | null;
    /** Which requests are management; all of them where nothing is said. */
    readonly concerns?: (request: FastifyRequest) => boolean;
  },
): void {
  const { audit, form, auditCodeOf, operations, principalOf, concerns = () => true } = options;
  const refused = refusedAnswers(form, auditCodeOf);
  const byRoute = new Map<string, AuditAnswers>();
  const answersOf = (method: string, url: string): AuditAnswers => {
    const operation = `${method} ${url}`;
    const known = byRoute.get(operation) ?? { done: doneStatus(operations, operation), refused };
    byRoute.set(operation, known);
    return known;
  };
  app.addHook('onRequest', (request, reply, done) => {
    const { url } = request.routeOptions;
    if (url !== undefined && concerns(request)) {
      request.auditAnswers = answersOf(request.method, url);
      audit.begin(request.id);
      // Also where the caller goes away before the answer.
      reply.raw.once('close', () => audit.end(request.id));
    }
    done();
  });
  const leaveRow = async (request: FastifyRequest, problem: Problem): Promise<void> => {
    const { url } = request.routeOptions;
    const { status, body } = form(problem, request.id);
    if (url === undefined || audit.end(request.id) || !isAudited(request.method, status)) return;
    const principal = principalOf(request);
    if (principal === null) return;
    const errorCode = auditCodeOf?.(problem.code) ?? codeOf(body);
    await audit.refuse({ ...principal, method: request.method, path: url, status, errorCode, message: problem.message });
  };
  app.addHook('onSend', (request, _reply, payload, done) => {
    const { problem, auditAnswers } = request;
    // Most requests are not refused, and wait for nothing.
    if (problem === undefined || auditAnswers === undefined) done(null, payload);
    else
      void leaveRow(request, problem).then(
        () => done(null, payload),
        (error: Error) => done(error),
      );
  });
}
