import { RefusedRequest } from '../../_shared/problem.ts';
import { refusedParameter } from '../list-query.ts';
import type { RuntimeMount } from '../runtime-deps.ts';

const EVIDENCE_ID = /^[0-9a-f]{64}$/;

/** The two public paths of evidence, of which this server keeps none: 404, after what is wrong with the request. */
export const mountEvidence: RuntimeMount = (app) => {
  const config = { credential: 'none' } as const;
  app.get('/v1/evidence/:evidence_id', { config }, async (request) => {
    const { evidence_id: id = '' } = request.params as { readonly evidence_id?: string };
    if (!EVIDENCE_ID.test(id)) throw refusedParameter('evidence_id', 'evidence_id must be 64 hexadecimal digits in lower case');
    throw new RefusedRequest({ code: 'not_found', message: 'there is no evidence of that id' });
  });
  app.get('/v1/.well-known/cycles-jwks.json', { config }, async () => {
    throw new RefusedRequest({ code: 'not_found', message: 'this server signs no evidence' });
  });
};
