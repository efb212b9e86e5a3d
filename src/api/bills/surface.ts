import { createHash } from 'node:crypto';
import type { FastifyPluginAsync, FastifyReply } from 'fastify';
import Type from 'typebox';
import type { ReadBill } from '../../app/bills/read-bill.ts';
import { BILLS_PREFIX } from '../../core/bills/bill-path.ts';
import type { Log } from '../../ports/log.ts';
import { cyclesForm } from '../_shared/cycles-form.ts';
import type { DocumentedSurface } from '../_shared/openapi/operation.ts';
import { makeErrorHandler } from '../_shared/problem.ts';
import { creditPage, missingPage, statementPage, type Issuer } from './page.ts';
import { BILL_STYLE } from './style.ts';

/** What the surface is made of. */
export interface BillPagesDeps {
  readonly readBill: ReadBill;
  readonly issuer: Issuer | null;
  readonly log: Log;
}

/** A page has its own style and nothing else: nothing of it runs, and nothing is loaded from anywhere. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(BILL_STYLE, 'utf8').digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  'sandbox',
].join('; ');

/** The pages of bills, for whoever has their links: no other credential is asked for, and none is told by what is missing. */
export const makeBillPages =
  ({ readBill, issuer, log }: BillPagesDeps): FastifyPluginAsync =>
  async (app) => {
    app.setErrorHandler(makeErrorHandler({ form: cyclesForm, log }));
    app.addHook('onRequest', async (_request, reply) => {
      void reply
        .header('content-security-policy', CONTENT_SECURITY_POLICY)
        .header('x-content-type-options', 'nosniff')
        .header('x-robots-tag', 'noindex, nofollow')
        .header('referrer-policy', 'no-referrer')
        .header('cache-control', 'no-store');
    });
    app.get<{ Params: { bill: string; token: string } }>(`${BILLS_PREFIX}/:bill/:token`, async (request, reply) => {
      const { bill, token } = request.params;
      const view = await readBill(bill, token);
      if (view === null) return sendHtml(reply.code(404), missingPage());
      return sendHtml(reply, view.kind === 'credit' ? creditPage(view, issuer) : statementPage({ ...view, issuer }));
    });
  };

const sendHtml = (reply: FastifyReply, text: string): FastifyReply => reply.header('content-type', 'text/html; charset=utf-8').send(text);

/** What the document tells about the pages. */
export const BILLS_SURFACE: DocumentedSurface = {
  id: 'bills',
  title: 'Bills',
  description: 'Bills as pages to read and print, for whoever was given the link.',
  prefixes: [BILLS_PREFIX],
  operations: {
    [`GET ${BILLS_PREFIX}/:bill/:token`]: {
      id: 'showBill',
      summary: 'Show a bill',
      description: 'The address is the `invoice_url` of a transaction. It stands until the operator revokes or renews it.',
      path: { bill: 'The id of the transaction.', token: 'The secret part of the link.' },
      answers: {
        200: { description: 'The bill.', schema: Type.String(), mediaType: 'text/html' },
        404: { description: 'There is no such bill, or the link is not its link.', schema: Type.String(), mediaType: 'text/html' },
      },
      errors: [500, 503],
    },
  },
  security: [],
  errors: null,
};
