import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { makeDescribeOwnKey, type OwnKey } from '../../app/describe-own-key.ts';
import type { Directory, Identity } from '../../app/directory.ts';
import type { LedgerWriter } from '../../app/ledger-writer.ts';
import { makeUsageReader, type UsageSums } from '../../app/read-usage.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import { usdNumber } from '../../core/pricing/rates.ts';
import { rejected, type Outcome } from '../../core/rejection.ts';
import { formatRfc3339, formatRfc3339OrNull } from '../../core/rfc3339.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';
import { bearerOf, refuseDoubledCredentials } from '../_shared/credentials.ts';
import { refuseUnknownQuery } from '../_shared/query.ts';
import { errorOfRejection, errorOfThrown, sendError } from './errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The key that asks about itself, with the value that it came by; set before the handler runs. */
    ownKey: { readonly identity: Identity; readonly credential: string };
  }
}

/** What the surface is made of. */
export interface OwnKeyDeps {
  readonly directory: Pick<Directory, 'authenticate'>;
  readonly records: RecordStore;
  readonly writer: Pick<LedgerWriter, 'barrier'>;
  readonly hasher: KeyHasher;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where a key asks about itself. */
export const OWN_KEY_PATH = '/v1/x-castellan/me';

/**
 * What every bearer key may ask about itself, as one Fastify plugin, to be registered without a prefix on both listeners. Errors have
 * OpenAI's form, since clients of models ask.
 */
export const makeOwnKeyApi =
  (deps: OwnKeyDeps): FastifyPluginAsync =>
  async (app) => {
    const describeOwnKey = makeDescribeOwnKey({ ...deps, usage: makeUsageReader(deps) });
    app.decorateRequest('ownKey');
    app.setErrorHandler((error, request, reply) => {
      const answer = errorOfThrown(error);
      if (answer.status >= 500) deps.log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, 'a request failed');
      return sendError(reply, answer);
    });
    app.get(OWN_KEY_PATH, { onRequest: makeAuthenticateOwnKey(deps) }, async (request, reply) => {
      refuseUnknownQuery(request, []);
      const { identity, credential } = request.ownKey;
      const own = await describeOwnKey(identity, credential);
      reply
        .header('content-type', 'application/json; charset=utf-8')
        .header('x-request-id', request.id)
        .header('cache-control', 'no-store');
      return reply.send(stringifyJson(ownKeyObject(own)));
    });
  };

function makeAuthenticateOwnKey({ directory, clock }: OwnKeyDeps) {
  const refuse = (reply: FastifyReply, outcome: Outcome<unknown>): FastifyReply | undefined =>
    outcome.ok ? undefined : sendError(reply, errorOfRejection(outcome.rejection, { hideAmounts: true, nowMs: 0 }));

  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    refuseDoubledCredentials(request);
    const credential = bearerOf(request);
    if (credential === null) {
      return refuse(reply, rejected({ code: 'unauthorized', message: 'send the key to be told of: Authorization: Bearer YOUR_KEY' }));
    }
    const outcome = await directory.authenticate(credential, clock.nowMs());
    if (!outcome.ok) return refuse(reply, outcome);
    request.ownKey = { identity: outcome.value, credential };
    return undefined;
  };
}

const usageObject = ({ requests, promptTokens, completionTokens, costNanoUsd }: UsageSums): object => ({
  requests,
  tokens: promptTokens + completionTokens,
  input_tokens: promptTokens,
  output_tokens: completionTokens,
  cost_usd: usdNumber(costNanoUsd),
});

function ownKeyObject({ identity, limits, usage, lastUsedAtMs, rotation }: OwnKey): object {
  const { key, tenant } = identity;
  return {
    id: key.id,
    name: key.name,
    kind: key.kind,
    tenant_id: tenant.id,
    masked_key: key.mask,
    disabled: key.disabled,
    expires_at: formatRfc3339OrNull(key.expiresAtMs),
    created_at: formatRfc3339(key.createdAtMs),
    last_used_at: formatRfc3339OrNull(lastUsedAtMs),
    limits: limits.map(({ kind, scope, unit, limit, spent, reserved, remaining, resetsAtMs }) => ({
      kind,
      scope,
      unit,
      limit,
      spent,
      reserved,
      remaining,
      resets_at: formatRfc3339OrNull(resetsAtMs),
    })),
    usage: Object.fromEntries([...usage].map(([name, sums]) => [name, usageObject(sums)])),
    rotation: {
      presented: rotation.presented,
      rotated_at: formatRfc3339OrNull(rotation.rotatedAtMs),
      previous_valid_until: formatRfc3339OrNull(rotation.previousUntilMs),
    },
  };
}
