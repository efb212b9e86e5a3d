import type { makeDeleteKey } from '../../../app/delete-key.ts';
import type { KeyReader } from '../../../app/list-keys.ts';
import type { KeyChanges, makeUpdateKey } from '../../../app/update-key.ts';
import type { ApiKey } from '../../../core/records.ts';
import type { RecordStore } from '../../../ports/record-store.ts';
import { RefusedRequest, valueOf } from '../../_shared/problem.ts';
import { refuseUnknownQuery } from '../../_shared/query.ts';
import type { TypedApp } from '../../_shared/typed-app.ts';
import { operatorOf } from '../authenticate.ts';
import { givenNames, microcentsOf, rateLimitsOf } from '../fields.ts';
import { keyObject } from '../objects.ts';
import { UpdateKeyBody } from '../schemas.ts';
import { callerLevelsOf, expiryOf } from './inference-keys.ts';

type ById = { Params: { id: string } };

/** What the routes need. */
interface KeyDeps {
  readonly records: Pick<RecordStore, 'record'>;
  readonly keys: KeyReader;
  readonly updateKey: ReturnType<typeof makeUpdateKey>;
  readonly deleteKey: ReturnType<typeof makeDeleteKey>;
}

/** `/keys/{id}`: keys of every kind. */
export function mountKeys(app: TypedApp, deps: KeyDeps): void {
  const { records, keys } = deps;

  const find = async (id: string): Promise<ApiKey> => {
    const key = await records.record('key', id);
    if (key === undefined || key.deletedAtMs !== null) throw new RefusedRequest({ code: 'not_found', message: `key ${id} not found` });
    return key;
  };
  const describe = async (key: ApiKey): Promise<object> => {
    const [found] = await keys.describe([key]);
    return keyObject(found ?? { key, maxTokens: null, money: undefined, usage: undefined });
  };

  app.get<ById>('/keys/:id', async (request) => {
    refuseUnknownQuery(request, []);
    return describe(await find(request.params.id));
  });
  app.patch('/keys/:id', { schema: { body: UpdateKeyBody } }, async (request) => {
    givenNames(request.body);
    const { disabled, money_budget_usd: usd, output_bound: outputBound, allowed_models: allowedModels } = request.body;
    const { name, max_tokens: maxTokens, expires_at: expiresAt, levels, caller_levels: callerLevels } = request.body;
    const changes: KeyChanges = {
      ...(name === undefined ? {} : { name }),
      ...(maxTokens === undefined ? {} : { maxTokens: maxTokens === null ? null : BigInt(maxTokens) }),
      ...(expiresAt === undefined ? {} : { expiresAtMs: expiryOf(expiresAt) }),
      ...(disabled === undefined ? {} : { disabled }),
      ...(usd === undefined ? {} : { moneyBudgetMicrocents: microcentsOf(usd) }),
      ...(outputBound === undefined ? {} : { outputBound }),
      ...(allowedModels === undefined ? {} : { allowedModels }),
      ...(levels === undefined ? {} : { levels }),
      ...(callerLevels === undefined ? {} : { callerLevels: callerLevelsOf(callerLevels) }),
      ...rateLimitsOf(request.body),
    };
    const key = await find((request.params as ById['Params']).id);
    return describe(valueOf(await deps.updateKey(operatorOf(request), key, changes)));
  });
  app.delete<ById>('/keys/:id', async (request, reply) => {
    valueOf(await deps.deleteKey(operatorOf(request), await find(request.params.id)));
    return reply.code(204).send();
  });
}
