import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../../ports/log.ts';
import { cyclesForm } from './cycles-form.ts';
import { openAiForm } from './openai-form.ts';
import { makeErrorHandler, sendProblem, type ErrorForm, type Problem } from './problem.ts';
import { targetOf } from './request-target.ts';
import { traceAnswer } from './trace-context.ts';
import { addTransportGuards } from './transport-guards.ts';

/** A surface that owns every path under `prefix`, also those that it does not serve. */
export interface PathOwner {
  readonly prefix: string;
  readonly form: ErrorForm;
  /** Whether every answer tells the trace that it belongs to, as the Cycles surfaces promise. */
  readonly traced?: boolean;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route only refuses: it serves nothing, and a 405 does not count its methods. */
    readonly onlyRefuses?: boolean;
  }
}

/**
 * The form of an answer that no surface gives: that of the path's owner, else of the credential; and its trace, where that form tells one.
 * Source: architecture section 6.
 */
function formOf(request: FastifyRequest, reply: FastifyReply, owners: readonly PathOwner[]): ErrorForm {
  const path = targetOf(request).path;
  const owner = owners.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
  if (owner !== undefined) {
    if (owner.traced === true) traceAnswer(request, reply);
    return owner.form;
  }
  const { headers } = request;
  const isCycles = headers['x-cycles-api-key'] !== undefined || headers['x-admin-api-key'] !== undefined;
  if (!isCycles && headers.authorization !== undefined) return openAiForm;
  traceAnswer(request, reply);
  return cyclesForm;
}

/** Which methods each path takes, gathered from the routes themselves: the one table behind every 405. */
interface RouteTable {
  /** The methods of a path as it came, sorted; empty where nothing is served there. */
  allowedMethods(path: string): readonly string[];
}

/** Begins to gather the routes of `app` and of every plugin that is registered after this call. */
function collectRoutes(app: FastifyInstance): RouteTable {
  const methodsByPattern = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config?.onlyRefuses === true) return;
    const methods = methodsByPattern.get(url) ?? new Set<string>();
    for (const each of Array.isArray(method) ? method : [method]) methods.add(each);
    methodsByPattern.set(url, methods);
  });
  return {
    allowedMethods: (path) => {
      const found = [...methodsByPattern].filter(([pattern]) => matches(pattern, path)).flatMap(([, methods]) => [...methods]);
      return [...new Set(found)].toSorted();
    },
  };
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.at(-1) === '*') return given.length >= wanted.length && wanted.slice(0, -1).every((segment, at) => fits(segment, given[at]));
  return wanted.length === given.length && wanted.every((segment, at) => fits(segment, given[at]));
}

const fits = (segment: string, given: string | undefined): boolean =>
  segment.startsWith(':') ? given !== undefined && given !== '' : segment === given;

/**
 * Answers whatever no surface answers: 404 or, where the path takes other methods, 405 with `Allow`, both in the right form; and errors
 * outside of the surfaces, such as those of the guards. The transport's own guards come with it: they too are for every request. Call
 * it on the root before any route is registered.
 */
export function registerFallback(app: FastifyInstance, options: { readonly owners: readonly PathOwner[]; readonly log: Log }): void {
  const { owners, log } = options;
  const routes = collectRoutes(app);
  addTransportGuards(app);
  app.setNotFoundHandler((request, reply) => sendProblem(reply, formOf(request, reply, owners), unknownPath(request, routes)));
  app.setErrorHandler((error, request, reply) => {
    const form = formOf(request, reply, owners);
    // A body that nobody would have read says nothing about what is wrong with the request.
    if (request.is404 && isUnreadBody(error)) return sendProblem(reply, form, unknownPath(request, routes));
    return makeErrorHandler({ form, log })(error, request, reply);
  });
}

/** Whether the framework refused a body: its type, its length, or that there is none. */
const isUnreadBody = (error: unknown): boolean => String((error as { code?: unknown }).code).startsWith('FST_ERR_CTP_');

function unknownPath(request: FastifyRequest, routes: RouteTable): Problem {
  const allow = routes.allowedMethods(targetOf(request).path);
  if (allow.length === 0) return { code: 'route_not_found', message: 'there is nothing under this address' };
  return { code: 'method_not_allowed', message: `${request.method} is not allowed here; use ${allow.join(', ')}`, allow };
}

/** Fastify's `frameworkErrors`: addresses that its router cannot read. Its own answer would repeat the address, key and all. */
export const makeFrameworkErrors =
  (options: { readonly owners: readonly PathOwner[]; readonly log: Log }) =>
  (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    makeErrorHandler({ form: formOf(request, reply, options.owners), log: options.log })(error, request, reply);
  };
