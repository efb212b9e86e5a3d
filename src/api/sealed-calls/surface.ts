import type { FastifyPluginAsync } from 'fastify';
import Type from 'typebox';
import type { SealedEnd } from '../../app/sealed/sealed-end.ts';
import { HPKE_KEYS_PATH, HPKE_KEYS_TYPE } from '../../core/sealed/protocol.ts';
import { openToBrowsers } from '../_shared/cors.ts';
import type { DocumentedSurface } from '../_shared/openapi/operation.ts';

/** Tells the key that clients seal for, as one Fastify plugin, to be registered without a prefix on both listeners. */
export const makeSealedKeyApi =
  (deps: { readonly sealedEnd: Pick<SealedEnd, 'published'> }): FastifyPluginAsync =>
  async (app) => {
    openToBrowsers(app);
    app.get(HPKE_KEYS_PATH, async (_request, reply) => {
      const config = await deps.sealedEnd.published();
      // Whoever asks after a change must not be given the key before.
      return reply.header('content-type', HPKE_KEYS_TYPE).header('cache-control', 'no-store').send(Buffer.from(config));
    });
  };

/** Sealed calls, as the documentation tells of them. */
export const sealedCallsSurface = (errorForm: NonNullable<DocumentedSurface['errors']>['form']): DocumentedSurface => ({
  id: 'sealed-calls',
  title: 'Sealed calls',
  description:
    'Every POST of the gateway takes a body that is sealed for this server (EHBP: HPKE with X25519, HKDF-SHA256 and AES-256-GCM), with the header ' +
    '`Ehbp-Encapsulated-Key`, and answers it sealed, with `Ehbp-Response-Nonce`. Headers and trailers stay readable. A body that cannot be opened is 400, one for a key that is out of date 422.',
  prefixes: ['/.well-known/hpke-keys'],
  operations: {
    [`GET ${HPKE_KEYS_PATH}`]: {
      id: 'getHpkeKeys',
      summary: 'Show the key to seal bodies for',
      description: 'One key configuration of RFC 9458, section 3.',
      answers: { 200: { description: 'The key.', schema: Type.String({ format: 'binary' }), mediaType: HPKE_KEYS_TYPE } },
      errors: [503],
      security: [],
    },
  },
  security: [],
  errors: { form: errorForm, always: [], codes: [] },
});
