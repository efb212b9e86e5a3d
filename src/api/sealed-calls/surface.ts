import type { FastifyPluginAsync } from 'fastify';
import Type from 'typebox';
import type { Log } from '../../ports/log.ts';
import type { Attestations } from '../../app/sealed/attestations.ts';
import type { SealedEnd } from '../../app/sealed/sealed-end.ts';
import { ATTESTATION_PATH, ENCLAVE_URL_HEADER, HPKE_KEYS_PATH, HPKE_KEYS_TYPE } from '../../core/sealed/protocol.ts';
import { openToBrowsers } from '../_shared/cors.ts';
import { makeOpenAiForm } from '../_shared/openai-form.ts';
import { makeErrorHandler, RefusedRequest, valueOf } from '../_shared/problem.ts';
import type { DocumentedSurface } from '../_shared/openapi/operation.ts';

const FORM = makeOpenAiForm({
  not_found: 404,
  store_unavailable: 503,
  overloaded: 503,
  upstream_failed: 502,
  upstream_timeout: 504,
  internal: 500,
});

/** Tells the key that clients seal for, and what the enclaves behind this server are verified by, as one Fastify plugin, to be registered without a prefix on both listeners. */
export const makeSealedKeyApi =
  (deps: {
    readonly sealedEnd: Pick<SealedEnd, 'published'>;
    readonly attestations: Attestations;
    readonly log: Log;
  }): FastifyPluginAsync =>
  async (app) => {
    app.setErrorHandler(makeErrorHandler({ form: FORM, log: deps.log }));
    openToBrowsers(app);
    app.get(HPKE_KEYS_PATH, async (_request, reply) => {
      const config = await deps.sealedEnd.published();
      // Whoever asks after a change must not be given the key before.
      return reply.header('content-type', HPKE_KEYS_TYPE).header('cache-control', 'no-store').send(Buffer.from(config));
    });
    app.get(ATTESTATION_PATH, async (request, reply) => {
      const named = request.headers[ENCLAVE_URL_HEADER];
      const { contentType, bytes } = valueOf(await deps.attestations.bundle(named === undefined ? null : String(named)));
      return reply.header('content-type', contentType).header('cache-control', 'no-cache').send(Buffer.from(bytes));
    });
    // A page that names an enclave is preceded by its preflight, which is answered only where a route is.
    for (const url of [HPKE_KEYS_PATH, ATTESTATION_PATH])
      app.options(url, { config: { onlyRefuses: true } }, () => {
        throw new RefusedRequest({
          code: 'method_not_allowed',
          message: 'OPTIONS is not allowed here; use GET, HEAD',
          allow: ['GET', 'HEAD'],
        });
      });
  };

/** Sealed calls, as the documentation tells of them. */
export const sealedCallsSurface = (errorForm: NonNullable<DocumentedSurface['errors']>['form']): DocumentedSurface => ({
  id: 'sealed-calls',
  title: 'Sealed calls',
  description:
    'Sealed calls go through to an upstream (header `X-Tinfoil-Enclave-Url`) or end here. Every POST of the gateway takes a body that is sealed for this server (EHBP: HPKE with X25519, HKDF-SHA256 and AES-256-GCM), with the header ' +
    '`Ehbp-Encapsulated-Key`, and answers it sealed, with `Ehbp-Response-Nonce`. Headers and trailers stay readable. A body that cannot be opened is 400, one for a key that is out of date 422.',
  prefixes: ['/.well-known/hpke-keys', ATTESTATION_PATH],
  operations: {
    [`GET ${HPKE_KEYS_PATH}`]: {
      id: 'getHpkeKeys',
      summary: 'Show the key to seal bodies for',
      description: 'One key configuration of RFC 9458, section 3.',
      answers: { 200: { description: 'The key.', schema: Type.String({ format: 'binary' }), mediaType: HPKE_KEYS_TYPE } },
      errors: [503],
      security: [],
    },
    [`GET ${ATTESTATION_PATH}`]: {
      id: 'getAttestation',
      summary: 'Show what an enclave is verified by',
      description:
        'The bundle of the enclave that the header `X-Tinfoil-Enclave-Url` names, or of the only one; as its declared source tells it, kept for a time.',
      answers: {
        200: {
          description: 'The bundle as its source tells it, in the type that it has there.',
          schema: Type.Object({}, { additionalProperties: true }),
        },
      },
      errors: [400, 404, 502, 504],
      security: [],
    },
  },
  security: [],
  errors: { form: errorForm, always: [], codes: [] },
});
