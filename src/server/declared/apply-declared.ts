import { DEFAULT_ENTITLEMENTS } from '../../core/access/defaults.ts';
import { budgetId, USD_MICROCENTS } from '../../core/ledger/account.ts';
import { figuresOfRates, ratesOfPrice } from '../../core/pricing/rates.ts';
import {
  headersIdentity,
  memberRecordId,
  type Model,
  sealIdentity,
  SYSTEM_TENANT,
  type Tenant,
  type Upstream,
} from '../../core/records.ts';
import type { Command } from '../../core/verbs.ts';
import { currencyOf } from '../../core/pricing/currency.ts';
import { seenTerms } from '../../app/balance/seen-terms.ts';
import { sealedHeaders } from '../../app/manage-catalogue.ts';
import type { Clock } from '../../ports/clock.ts';
import type { DeclaredFields } from '../../ports/declared-fields.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import type { BootCommands } from '../boot-commands.ts';
import type { DeclaredConfig, DeclaredModel, DeclaredTenant, DeclaredUpstream } from './declared-config.ts';
import { keyCommands } from './key-commands.ts';
import { makeDeclaredFields } from './named-fields.ts';
import { leftFile, rememberDeclared } from './left-file.ts';
import { exchangeRateCommands } from './apply-exchange-rates.ts';
import { reporterCommands } from './apply-reporters.ts';

/** What applying needs. */
export interface ApplyDeclaredDeps {
  readonly boot: BootCommands;
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly secretBox: SecretBox;
}

/**
 * Makes the store say what the file says, by commands, and changes nothing else. What already agrees is left alone, so that a start
 * with an unchanged file writes nothing. Returns sentences for the operator: what the file no longer names and what it names in vain.
 */
export async function applyDeclared(deps: ApplyDeclaredDeps, declared: DeclaredConfig): Promise<string[]> {
  const { boot } = deps;
  const { models } = declared;
  const fields = makeDeclaredFields(declared);
  const label = `Applying ${declared.path}`;
  await boot.run(label, await upstreamCommands(deps, declared.upstreams, fields));
  await boot.run(label, await modelCommands(deps, models, fields));
  await boot.run(label, await priceCommands(deps, models));
  await boot.run(label, await exchangeRateCommands(deps, declared.exchangeRates));
  const absentKeys: string[] = [];
  for (const tenant of declared.tenants) {
    await boot.run(label, await tenantCommands(deps, tenant, fields));
    const keys = await keyCommands(deps, tenant);
    await boot.run(label, keys.commands);
    absentKeys.push(...keys.absent);
  }
  await boot.run(label, await reporterCommands(deps, declared.reporters));
  const notices = await leftFile(deps.records, declared);
  await rememberDeclared(deps, declared);
  const absent = absentKeys.map((id) => `${declared.path}: there is no key ${id}; what the file says of it waits until there is one.`);
  return [...notices, ...absent];
}

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What the file calls the fields of an upstream. */
const UPSTREAM_FIELDS = {
  kind: 'kind',
  baseUrl: 'base_url',
  provider: 'provider',
  region: 'region',
  euNative: 'eu_native',
  quantized: 'quantized',
  retentionDays: 'retention_days',
  continuousUsage: 'continuous_usage',
  timeoutMs: 'timeout_ms',
  speaks: 'speaks',
  rateLimits: 'rate_limits',
  sealed: 'sealed',
} as const satisfies Readonly<Record<keyof Omit<DeclaredUpstream, 'id' | 'apiKey' | 'headers'>, string>>;

/** What the file calls the fields of a model. */
const MODEL_FIELDS = {
  upstreams: 'upstreams',
  contextTokens: 'context_tokens',
  maxOutputTokens: 'max_output_tokens',
  defaultOutputTokens: 'default_output_tokens',
  outputLimitField: 'output_limit_field',
  tokenizer: 'tokenizer',
  promptOverheadTokens: 'prompt_overhead_tokens',
  marginPercent: 'margin_percent',
  maxImageTokens: 'max_image_tokens',
  maxAudioTokens: 'max_audio_tokens',
  maxFileTokens: 'max_file_tokens',
  maxAudioSeconds: 'max_audio_seconds',
  tags: 'tags',
  description: 'description',
  rateLimits: 'rate_limits',
  aliases: 'aliases',
} as const satisfies Readonly<Record<keyof Omit<Model, 'id' | 'createdAtMs'>, string>>;

/** What is kept, with the fields that the file names as the file has them: the others belong to the API. */
function withNamedFields<R extends object>(
  kept: R,
  declared: R,
  fields: Readonly<Partial<Record<keyof R, string>>>,
  isNamed: (field: string) => boolean,
): R {
  const named = (Object.keys(fields) as (keyof R)[]).filter((field) => isNamed(fields[field] ?? ''));
  return { ...kept, ...Object.fromEntries(named.map((field) => [field, declared[field]])) };
}

async function upstreamCommands(
  deps: ApplyDeclaredDeps,
  upstreams: readonly DeclaredUpstream[],
  fields: DeclaredFields,
): Promise<Command[]> {
  const { boot, records, secretBox } = deps;
  const commands: Command[] = [];
  for (const { apiKey, headers, ...declared } of upstreams) {
    const { id } = declared;
    const isNamed = (field: string): boolean => fields.isDeclared('upstream', id, field) !== null;
    const identity = sealIdentity('upstream', id);
    const seal = (): string | null => (apiKey === null ? null : secretBox.seal(apiKey, identity));
    const found = await records.record('upstream', id);
    if (found === undefined) {
      commands.push(putUpstream(boot, { ...declared, apiKeySealed: seal(), ...sealedHeaders(secretBox, id, headers) }));
      continue;
    }
    const { createdAtMs: _createdAtMs, ...kept } = found;
    const keptKey = kept.apiKeySealed === null ? null : secretBox.open(kept.apiKeySealed, identity);
    // Sealing gives another text each time; an unchanged key keeps its text, so that nothing seems changed.
    const apiKeySealed = !isNamed('api_key') || keptKey === apiKey ? kept.apiKeySealed : seal();
    const secrets = { apiKeySealed, ...(isNamed('headers') ? declaredHeaders(secretBox, kept, headers) : {}) };
    const named = withNamedFields({ ...kept, ...secrets }, { ...declared, ...secrets }, UPSTREAM_FIELDS, isNamed);
    const upstream = declared.sealed === null ? named : { ...named, baseUrl: '' };
    if (!sameJson(inOrderOf(upstream, kept), upstream)) commands.push(putUpstream(boot, upstream));
  }
  return commands;
}

/** The headers of a kept upstream as the file has them; those that it has already keep their sealed text. */
function declaredHeaders(
  secretBox: SecretBox,
  { id, headersSealed = null }: Pick<Upstream, 'id' | 'headersSealed'>,
  headers: DeclaredUpstream['headers'],
): Pick<Upstream, 'headerNames' | 'headersSealed'> {
  const kept = headersSealed === null ? '{}' : secretBox.open(headersSealed, headersIdentity(id));
  return kept === JSON.stringify(headers) ? {} : sealedHeaders(secretBox, id, headers);
}

const putUpstream = (boot: BootCommands, upstream: Omit<Upstream, 'createdAtMs'>): Command => ({
  verb: 'put-upstream',
  id: boot.nextId(),
  tenantId: SYSTEM_TENANT,
  audit: boot.audit('put-upstream', 'upstream', upstream.id),
  upstream,
  replace: true,
});

/** The fields of `record` in the order of `pattern`, so that two records can be compared as text. */
const inOrderOf = (pattern: object, record: object): Record<string, unknown> =>
  Object.fromEntries(Object.keys(pattern).map((name) => [name, (record as Record<string, unknown>)[name]]));

async function modelCommands(deps: ApplyDeclaredDeps, models: readonly DeclaredModel[], fields: DeclaredFields): Promise<Command[]> {
  const { boot, records } = deps;
  const commands: Command[] = [];
  const freed: Command[] = [];
  for (const { prices: _prices, ...declared } of models) {
    const { id } = declared;
    const isNamed = (field: string): boolean => fields.isDeclared('model', id, field) !== null;
    const found = await records.record('model', id);
    let model: Omit<Model, 'createdAtMs'> = declared;
    if (found !== undefined) {
      const { createdAtMs: _createdAtMs, ...kept } = found;
      model = fittingLimits(withNamedFields(kept, declared, MODEL_FIELDS, isNamed), isNamed);
      if (sameJson(inOrderOf(model, kept), model)) continue;
      freed.push(...freeingCommand(boot, kept, model));
    }
    commands.push({
      verb: 'put-model',
      id: boot.nextId(),
      tenantId: SYSTEM_TENANT,
      audit: boot.audit('put-model', 'model', id),
      model,
      replace: true,
    });
  }
  return [...freed, ...commands];
}

/** Takes away the aliases that a model no longer has, before another one is given them. */
function freeingCommand(boot: BootCommands, kept: Pick<Model, 'id' | 'aliases'>, model: Pick<Model, 'aliases'>): Command[] {
  const { id, aliases = [] } = kept;
  const staying = aliases.filter((alias) => (model.aliases ?? []).includes(alias));
  if (staying.length === aliases.length) return [];
  const audit = boot.audit('update-model', 'model', id);
  return [{ verb: 'update-model', id: boot.nextId(), tenantId: SYSTEM_TENANT, audit, modelId: id, changes: { aliases: staying } }];
}

/** A limit that the file names may have fallen below one that it does not name; that one follows. */
function fittingLimits(model: Omit<Model, 'createdAtMs'>, isNamed: (field: string) => boolean): Omit<Model, 'createdAtMs'> {
  const { maxOutputTokens, defaultOutputTokens } = model;
  if (defaultOutputTokens <= maxOutputTokens) return model;
  return isNamed('default_output_tokens')
    ? { ...model, maxOutputTokens: defaultOutputTokens }
    : { ...model, defaultOutputTokens: maxOutputTokens };
}

/** A price is added only where the one that applies now is another: prices are append-only, and each addition is a version. */
async function priceCommands(deps: ApplyDeclaredDeps, models: readonly DeclaredModel[]): Promise<Command[]> {
  const { boot, records, ids } = deps;
  if (models.every(({ prices }) => prices.length === 0)) return [];
  const all = await records.records('price');
  const nowMs = deps.clock.nowMs();
  const commands: Command[] = [];
  for (const model of models) {
    for (const declared of model.prices) {
      const figures = figuresOfRates(declared.rates);
      const inForce = all
        .filter((price) => price.modelId === model.id && price.upstreamId === declared.upstreamId && price.appliesFromMs <= nowMs)
        .sort((a, b) => a.appliesFromMs - b.appliesFromMs || (a.id < b.id ? -1 : 1))
        .at(-1);
      if (inForce !== undefined && sameJson(figuresOfRates(ratesOfPrice(inForce)), figures)) continue;
      const id = ids.next('price');
      commands.push({
        verb: 'add-price',
        id: boot.nextId(),
        tenantId: SYSTEM_TENANT,
        audit: boot.audit('add-price', 'price', id),
        price: { id, modelId: model.id, upstreamId: declared.upstreamId, ...figures, appliesFromMs: null },
      });
    }
  }
  return commands;
}

async function tenantCommands(deps: ApplyDeclaredDeps, declared: DeclaredTenant, fields: DeclaredFields): Promise<Command[]> {
  const { boot, records } = deps;
  const kept = await records.record('tenant', declared.id);
  const base = (operation: string, kind: string, id: string) => ({
    id: boot.nextId(),
    tenantId: declared.id,
    audit: boot.audit(operation, kind, id),
  });
  const commands: Command[] = [];
  if (kept === undefined) {
    const tenant = {
      id: declared.id,
      name: declared.name ?? declared.id,
      entitlements: { ...DEFAULT_ENTITLEMENTS, ...declared.entitlements },
      requireBudget: declared.requireBudget ?? false,
      allowUnpriced: declared.allowUnpriced ?? false,
      hideAmounts: declared.hideAmounts ?? false,
      ...(declared.currency === undefined ? {} : { currency: declared.currency }),
      ...(declared.requireBalance === undefined ? {} : { requireBalance: declared.requireBalance }),
    };
    const seen = await seenTerms(records, undefined, tenant);
    commands.push({ verb: 'create-tenant', ...base('create-tenant', 'tenant', declared.id), tenant, ...seen });
  } else {
    const changes = changedFields(kept, declared);
    const seen = changes === null ? {} : await seenTerms(records, kept, changes);
    if (changes !== null) commands.push({ verb: 'update-tenant', ...base('update-tenant', 'tenant', declared.id), ...changes, ...seen });
  }
  for (const { role: declaredRole, ...rest } of declared.members) {
    const recordId = memberRecordId(declared.id, rest.id);
    const found = await records.record('member', recordId);
    const isThere = found !== undefined && found.removedAtMs === null;
    // A role that the file does not name is the API's: nobody loses theirs because a line left the file.
    const member = { ...rest, role: isThere && fields.isDeclared('member', recordId, 'role') === null ? found.role : declaredRole };
    const same = isThere && found.email === member.email && found.role === member.role;
    if (!same) commands.push({ verb: 'add-member', ...base('add-member', 'member', member.id), member });
  }
  if (declared.moneyBudgetMicrocents !== undefined) {
    const id = budgetId(declared.id, `tenant:${declared.id}`, USD_MICROCENTS);
    const account = (await records.accounts([id])).get(id);
    const isNews = account === undefined ? declared.moneyBudgetMicrocents !== null : account.allocated !== declared.moneyBudgetMicrocents;
    if (isNews) {
      const allocated = declared.moneyBudgetMicrocents;
      commands.push({ verb: 'allocate', ...base('allocate', 'money-budget', declared.id), accountId: id, allocated });
    }
  }
  return commands;
}

/** What the file names and the tenant has otherwise; null where they agree. */
function changedFields(kept: Tenant, declared: DeclaredTenant) {
  const changes: {
    name?: string;
    requireBudget?: boolean;
    allowUnpriced?: boolean;
    hideAmounts?: boolean;
    currency?: string;
    requireBalance?: boolean;
    entitlements?: Partial<Tenant['entitlements']>;
  } = {};
  if (declared.name !== undefined && declared.name !== kept.name) changes.name = declared.name;
  for (const field of ['requireBudget', 'allowUnpriced', 'hideAmounts'] as const) {
    const value = declared[field];
    if (value !== undefined && value !== kept[field]) changes[field] = value;
  }
  if (declared.currency !== undefined && declared.currency !== currencyOf(kept)) changes.currency = declared.currency;
  if (declared.requireBalance !== undefined && declared.requireBalance !== (kept.requireBalance ?? false))
    changes.requireBalance = declared.requireBalance;
  const entitlements = Object.entries(declared.entitlements).filter(
    ([name, value]) => kept.entitlements[name as keyof Tenant['entitlements']] !== value,
  );
  if (entitlements.length > 0) changes.entitlements = Object.fromEntries(entitlements);
  return Object.keys(changes).length === 0 ? null : changes;
}
