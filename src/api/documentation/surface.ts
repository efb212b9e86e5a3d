import type { FastifyPluginAsync, FastifyReply } from 'fastify';
import type { Log } from '../../ports/log.ts';
import { cyclesForm } from '../_shared/cycles-form.ts';
import type { OpenApiDocument } from '../_shared/openapi/document.ts';
import { makeErrorHandler, RefusedRequest } from '../_shared/problem.ts';
import { SCRIPT, STYLE } from './assets.ts';
import { indexPage, surfacePage } from './pages.ts';

/** What the surface is made of. `document` gives the same object until the routes change. */
export interface DocumentationDeps {
  readonly document: () => OpenApiDocument;
  readonly log: Log;
}

/** A page may load its own style and script, and nothing else from anywhere; the icon is an empty one in the page itself. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const FILES: Readonly<Record<string, { readonly type: string; readonly text: string }>> = {
  'style.css': { type: 'text/css; charset=utf-8', text: STYLE },
  'script.js': { type: 'text/javascript; charset=utf-8', text: SCRIPT },
};

/** The API's document and its pages, for everybody who reaches the listener: what they tell is no secret. */
export const makeDocumentation =
  (deps: DocumentationDeps): FastifyPluginAsync =>
  async (app) => {
    const pages = makePages(deps.document);
    app.setErrorHandler(makeErrorHandler({ form: cyclesForm, log: deps.log }));
    app.addHook('onRequest', async (_request, reply) => {
      void reply
        .header('content-security-policy', CONTENT_SECURITY_POLICY)
        .header('x-content-type-options', 'nosniff')
        .header('referrer-policy', 'no-referrer')
        .header('cache-control', 'no-cache');
    });
    app.get('/openapi.json', (_request, reply) => sendText(reply, 'application/json; charset=utf-8', pages.json()));
    app.get('/docs', (_request, reply) => sendText(reply, 'text/html; charset=utf-8', pages.page(null) ?? ''));
    app.get<{ Params: { page: string } }>('/docs/:page', (request, reply) => {
      const { page } = request.params;
      const file = Object.hasOwn(FILES, page) ? FILES[page] : undefined;
      if (file !== undefined) return sendText(reply, file.type, file.text);
      const text = pages.page(page);
      if (text === null) throw new RefusedRequest({ code: 'not_found', message: 'there is no page of that name' });
      return sendText(reply, 'text/html; charset=utf-8', text);
    });
  };

const sendText = (reply: FastifyReply, type: string, text: string): FastifyReply => reply.header('content-type', type).send(text);

/** The texts, each rendered once for each document. */
function makePages(document: () => OpenApiDocument): { json(): string; page(name: string | null): string | null } {
  let rendered: OpenApiDocument | null = null;
  let texts = new Map<string, string | null>();
  const once = (name: string, render: (document: OpenApiDocument) => string | null): string | null => {
    const current = document();
    if (rendered !== current) {
      rendered = current;
      texts = new Map();
    }
    const known = texts.get(name);
    if (known !== undefined) return known;
    const text = render(current);
    // Names that nobody has are not kept: anybody may make them up.
    if (text !== null) texts.set(name, text);
    return text;
  };
  return {
    json: () => once('json:', (current) => JSON.stringify(current)) ?? '',
    page: (name) => once(`page:${name ?? ''}`, (current) => (name === null ? indexPage(current) : surfacePage(current, name))),
  };
}
