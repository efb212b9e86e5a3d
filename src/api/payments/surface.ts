import type { FastifyPluginAsync } from 'fastify';
import Type, { type TSchema } from 'typebox';
import type { TakeWebhook } from '../../app/payments/take-payment.ts';
import type { Log } from '../../ports/log.ts';
import { cyclesForm } from '../_shared/cycles-form.ts';
import { errorCodes } from '../_shared/openapi/error-codes.ts';
import { named, object, type DocumentedSurface } from '../_shared/openapi/operation.ts';
import { makeErrorHandler, RefusedRequest } from '../_shared/problem.ts';

/** What the surface is made of. `takeWebhook` is null where no payment service is declared. */
export interface PaymentsDeps {
  readonly takeWebhook: TakeWebhook | null;
  readonly log: Log;
}

/** Paths below this are for the payment service. */
export const PAYMENTS_PREFIX = '/billing/stripe';

const PATH = `${PAYMENTS_PREFIX}/webhook`;

/** Largest event. Those of Stripe have some ten kilobytes. */
const BODY_LIMIT_BYTES = 1024 * 1024;

const NO_BODY = Buffer.alloc(0);

/** What Stripe tells by webhooks, as one Fastify plugin. What is told is signed over the very bytes of the body. */
export const makePaymentsApi =
  ({ takeWebhook, log }: PaymentsDeps): FastifyPluginAsync =>
  async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES }, (_request, body, done) => done(null, body));
    app.setErrorHandler(makeErrorHandler({ form: cyclesForm, log }));
    app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
    app.post(PATH, { bodyLimit: BODY_LIMIT_BYTES }, async (request) => {
      if (takeWebhook === null) throw new RefusedRequest({ code: 'not_found', message: 'no payment service is declared here' });
      const given = request.headers['stripe-signature'];
      const signature = typeof given === 'string' ? given : '';
      const body = Buffer.isBuffer(request.body) ? request.body : NO_BODY;
      if (await takeWebhook({ body, signature, requestId: request.id })) return { received: true };
      const message = 'Stripe-Signature must be that of the declared secret over this body, and at most five minutes old';
      throw new RefusedRequest({ code: 'unauthorized', message, field: 'stripe-signature' });
    });
  };

/** What the document tells about it; `form` is the body of its errors. */
export const paymentsSurface = (form: TSchema): DocumentedSurface => ({
  id: 'payments',
  title: 'Payments',
  description: 'What the payment service tells this server.',
  prefixes: [PAYMENTS_PREFIX],
  operations: {
    [`POST ${PATH}`]: {
      id: 'takeStripeEvent',
      summary: 'Take an event of Stripe',
      description:
        'Signed by `Stripe-Signature` over the bytes of the body. `payment_intent.succeeded` with the metadata `castellan_tenant_id` is credited to that tenant’s balance, once; other events are taken and make nothing. 404 where Stripe is not declared.',
      headers: { 'Stripe-Signature': { description: 'As Stripe signs its webhooks.', schema: Type.String(), required: true } },
      body: { description: 'An event in Stripe’s form.', schema: Type.Object({}, { additionalProperties: true }) },
      answers: {
        200: { description: 'It was taken, now or before.', schema: named('ReceivedEvent', object({ received: Type.Boolean() })) },
      },
      errors: [401, 404, 413],
    },
  },
  security: [],
  errors: {
    form,
    always: [400, 421, 500, 503],
    codes: errorCodes((code) => {
      const { status, body } = cyclesForm({ code, message: '' }, '');
      return { status, code: (body as { readonly error: string }).error };
    }),
  },
});
