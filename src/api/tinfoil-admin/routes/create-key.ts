import type { makeCreateKey } from '../../../app/create-key.ts';
import { packMetadata } from '../../../core/access/rules.ts';
import type { SecretBox } from '../../../ports/secret-box.ts';
import { valueOf } from '../../_shared/problem.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { capOf, expiryOf } from '../fields.ts';
import { keyObject } from '../key-object.ts';
import { actorOf } from '../principal.ts';
import { CreateKeyBody } from '../schemas.ts';

/** `POST /api/keys`: makes an inference key that the caller's member owns. */
export function mountCreateKey(app: TypedApp, deps: { createKey: ReturnType<typeof makeCreateKey>; secretBox: SecretBox }): void {
  app.post('/api/keys', { schema: { body: CreateKeyBody } }, async (request) => {
    const { tenantId, createdBy } = request.tinfoilAdmin.key;
    const { name, expires_at: expiresAt = null, max_tokens: maxTokens = null, metadata } = request.body;
    const cap = capOf(maxTokens);
    const outcome = await deps.createKey(actorOf(request), {
      tenantId,
      memberId: createdBy,
      kind: 'inference',
      name,
      expiresAtMs: expiryOf(expiresAt),
      maxTokens: cap,
      moneyBudgetMicrocents: null,
      metadata: packMetadata(metadata ?? {}),
    });
    const { key } = valueOf(outcome);
    return keyObject({ key, maxTokens: cap, money: undefined, usage: undefined }, { viewerId: createdBy, secretBox: deps.secretBox });
  });
}
