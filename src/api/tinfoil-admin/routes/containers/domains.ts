import Type from 'typebox';
import type { FastifyRequest } from 'fastify';
import type { DomainView, ManageDomains } from '../../../../app/containers/manage-domains.ts';
import { formatRfc3339 } from '../../../../core/rfc3339.ts';
import { valueOf } from '../../../_shared/problem.ts';
import type { TypedApp } from '../../../_shared/typed-app.ts';
import { actorOf } from '../../principal.ts';

/** Body of `POST /api/domains`. Unknown fields are ignored. */
const CreateDomainBody = Type.Object({ domain: Type.String({ rule: 'a string' }) });

const timeOrNull = (ms: number | null): string | null => (ms === null ? null : formatRfc3339(ms));

/** Source: Tinfoil reference section 1.4, domain. */
const domainObject = (view: DomainView): object => ({
  id: view.domainId,
  domain: view.domain,
  verification_nonce: view.nonce,
  cname_hash: view.cnameHash,
  verified: view.verifiedAtMs !== null,
  verified_at: timeOrNull(view.verifiedAtMs),
  created_at: formatRfc3339(view.createdAtMs),
  used_by: view.usedBy,
  txt_record_host: view.txtHost,
  txt_record_value: view.txtValue,
  cname_target: view.cnameTarget,
  cname_configured: view.cnameConfigured,
  checked_at: timeOrNull(view.checkedAtMs),
  missing_since: timeOrNull(view.missingSinceMs),
  check_error: view.checkError,
});

/** Domains of an organization's own. */
export function mountDomains(app: TypedApp, { domains }: { readonly domains: ManageDomains }): void {
  const tenantOf = (request: FastifyRequest): string => request.tinfoilAdmin.key.tenantId;
  const domainOf = (request: FastifyRequest): string => (request.params as { readonly domain: string }).domain;

  app.get('/api/domains', async (request) => (await domains.list(tenantOf(request))).map(domainObject));
  app.post('/api/domains', { schema: { body: CreateDomainBody } }, async (request, reply) =>
    reply.code(201).send(domainObject(valueOf(await domains.create(actorOf(request), tenantOf(request), request.body.domain)))),
  );
  app.post('/api/domains/:domain/verify', async (request) =>
    domainObject(valueOf(await domains.verify(actorOf(request), tenantOf(request), domainOf(request)))),
  );
  app.delete('/api/domains/:domain', async (request) => {
    valueOf(await domains.remove(actorOf(request), tenantOf(request), domainOf(request)));
    return { message: 'Domain deleted' };
  });
}
