import type { FastifyPluginAsync } from 'fastify';
import Type, { type TSchema } from 'typebox';
import type { TakeReleaseHook } from '../../app/containers/take-release-hook.ts';
import type { Log } from '../../ports/log.ts';
import { refuseDoubled } from '../_shared/credentials.ts';
import { cyclesForm } from '../_shared/cycles-form.ts';
import { errorCodes } from '../_shared/openapi/error-codes.ts';
import { named, object, type DocumentedSurface } from '../_shared/openapi/operation.ts';
import { makeErrorHandler, RefusedRequest } from '../_shared/problem.ts';

/** What the surface is made of. `takeReleaseHook` is null where no App with a secret of its webhook is declared. */
export interface ReleaseHooksDeps {
  readonly takeReleaseHook: TakeReleaseHook | null;
  readonly log: Log;
}

/** Paths below this are for sources of releases. */
export const RELEASE_HOOKS_PREFIX = '/sources/github';

const PATH = `${RELEASE_HOOKS_PREFIX}/webhook`;
const HEADERS = { event: 'x-github-event', deliveryId: 'x-github-delivery', signature: 'x-hub-signature-256' } as const;

/** Largest delivery. Those of releases list their assets, with a kilobyte and a half each. */
const BODY_LIMIT_BYTES = 5 * 1024 * 1024;

const NO_BODY = Buffer.alloc(0);
/** What is shown of an id that nobody has signed. */
const DELIVERY_ID = /^[0-9A-Za-z-]{1,64}$/;

/** What GitHub tells by webhooks, as one Fastify plugin. What is told is signed over the very bytes of the body. */
export const makeReleaseHooksApi =
  ({ takeReleaseHook, log }: ReleaseHooksDeps): FastifyPluginAsync =>
  async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES }, (_request, body, done) => done(null, body));
    app.setErrorHandler(makeErrorHandler({ form: cyclesForm, log }));
    app.addHook('onRequest', async (request, reply) => void reply.header('x-request-id', request.id));
    app.post(PATH, { bodyLimit: BODY_LIMIT_BYTES }, async (request) => {
      if (takeReleaseHook === null) {
        throw new RefusedRequest({ code: 'not_found', message: 'no GitHub App with a webhook secret is declared here' });
      }
      refuseDoubled(request, new Set(Object.values(HEADERS)));
      const header = (name: string): string => {
        const value = request.headers[name];
        return typeof value === 'string' ? value : '';
      };
      const given = header(HEADERS.deliveryId);
      const receipt = await takeReleaseHook({
        event: header(HEADERS.event),
        deliveryId: DELIVERY_ID.test(given) ? given : '',
        signature: header(HEADERS.signature),
        body: Buffer.isBuffer(request.body) ? request.body : NO_BODY,
      });
      if (receipt.status === 'unsigned') {
        const message = 'X-Hub-Signature-256 must be that of the declared secret over this body';
        throw new RefusedRequest({ code: 'unauthorized', message, field: HEADERS.signature });
      }
      if (receipt.status === 'malformed') throw new RefusedRequest({ code: 'invalid_request', message: receipt.rule });
      return { status: receipt.status };
    });
  };

const STATUSES = ['taken', 'repeated', 'old', 'ignored'] as const;

/** What the document tells about it; `form` is the body of its errors. */
export const releaseHooksSurface = (form: TSchema): DocumentedSurface => ({
  id: 'release-hooks',
  title: 'Webhooks of releases',
  description: 'What sources of releases tell this server.',
  prefixes: [RELEASE_HOOKS_PREFIX],
  operations: {
    [`POST ${PATH}`]: {
      id: 'takeGithubWebhook',
      summary: 'Take a webhook of the GitHub App',
      description:
        'Signed by `X-Hub-Signature-256` over the bytes of the body. Events `release`, `installation` and `installation_repositories` make this server look at the repositories that they name, soon; others are taken and make nothing. The same bytes count once. What happened more than three days ago is not looked at. 404 where no App with a webhook secret is declared.',
      headers: {
        'X-GitHub-Event': { description: 'What the webhook is about.', schema: Type.String(), required: true },
        'X-GitHub-Delivery': { description: 'The delivery, for the log.', schema: Type.String() },
        'X-Hub-Signature-256': { description: 'As GitHub signs its webhooks.', schema: Type.String(), required: true },
      },
      body: { description: 'A webhook in GitHub’s form, as `application/json`.', schema: Type.Object({}, { additionalProperties: true }) },
      answers: {
        200: {
          description: 'It was signed well.',
          schema: named('ReceivedWebhook', object({ status: Type.Union(STATUSES.map((status) => Type.Literal(status))) })),
        },
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
