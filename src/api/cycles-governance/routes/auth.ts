import { operatorCapabilities, tenantCapabilities } from '../../../core/cycles/capabilities.ts';
import { makeValidateKey } from '../../../app/cycles/validate-key.ts';
import { authFailureOf, principalOf } from '../../_shared/cycles-principal.ts';
import { GOVERNANCE_SOURCE, type GovernanceMount } from '../governance-deps.ts';
import { keyExpiry, present } from '../objects.ts';
import { ApiKeyValidationRequest } from '../schemas/auth.ts';

/** `/v1/auth/validate` and `/v1/auth/introspect`. */
export const mountAuth: GovernanceMount = (app, deps) => {
  const validateKey = makeValidateKey(deps);

  app.post(
    '/v1/auth/validate',
    { config: { credential: 'operator' }, schema: { body: ApiKeyValidationRequest } },
    async (request, reply) => {
      const found = await validateKey(request.body.key_secret);
      const { key } = found;
      if (key !== null) void reply.header('x-cycles-tenant', key.tenantId);
      const known = present({ key_id: key?.id, expires_at: key === null ? undefined : keyExpiry(key) });
      if (!found.valid) {
        const about = key === null ? {} : { about: { tenantId: key.tenantId, keyId: key.id } };
        deps.events.auth.failed(authFailureOf(request, { reason: found.reason.toLowerCase(), source: GOVERNANCE_SOURCE, ...about }));
        return { valid: false, tenant_id: key?.tenantId ?? '', ...known, reason: found.reason };
      }
      const { permissions = [], scopeFilter } = found.key;
      return { valid: true, tenant_id: found.key.tenantId, ...known, permissions, ...present({ scope_filter: scopeFilter }) };
    },
  );

  app.get('/v1/auth/introspect', { config: { credential: 'either' } }, (request) => {
    const principal = principalOf(request);
    if (principal.kind === 'operator')
      return { authenticated: true, auth_type: 'admin', permissions: ['*'], capabilities: operatorCapabilities() };
    const { permissions = [], scopeFilter = [], tenantId } = principal.identity.key;
    return {
      authenticated: true,
      auth_type: 'tenant',
      permissions,
      capabilities: tenantCapabilities(permissions),
      tenant_id: tenantId,
      ...(scopeFilter.length === 0 ? {} : { scope_filter: scopeFilter }),
    };
  });
};
