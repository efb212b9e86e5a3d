import { CURRENCY_RULE, isCurrency } from '../../core/pricing/currency.ts';
import { CALLER_LEVELS } from '../../core/access/subject-levels.ts';
import { microcentsFromUsd } from '../../core/pricing/usd.ts';
import { type Entitlements, memberRecordId } from '../../core/records.ts';
import type { DeclaredKey, DeclaredTenant } from './declared-config.ts';
import type { Field } from './field.ts';
import { type NamedFields, namesGiven } from './named-fields.ts';
import { refuseDouble } from './refuse-double.ts';
import { parseRateLimits } from './parse-rate-limits.ts';

const TENANT_ID = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const TENANT_ID_RULE = 'an id of 1 to 64 lower-case letters, digits and hyphens that starts and ends with a letter or digit';
const MEMBER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MEMBER_ID_RULE = 'an id of 1 to 64 letters, digits, ".", "_" and "-" that starts with a letter or digit';
const LEVEL_VALUE = /^[A-Za-z0-9_.-]{1,128}$/;
const LEVEL_PATTERN = /^[A-Za-z0-9_.*-]{1,128}$/;
const EMAIL = /^[^\s@]{1,64}@[^\s@]{1,190}$/;

const SWITCHES = {
  token_billing: 'tokenBilling',
  container_subscription: 'containerSubscription',
  gpu_access: 'gpuAccess',
  host_choice: 'hostChoice',
  private_registries: 'privateRegistries',
} as const;
const COUNTS = { max_gpus: 'maxGpus', max_containers: 'maxContainers', max_keys: 'maxKeys' } as const;

function parseEntitlements(field: Field): { entitlements: Partial<Entitlements>; named: string[] } {
  const names = [...Object.keys(SWITCHES), ...Object.keys(COUNTS)] as (keyof typeof SWITCHES | keyof typeof COUNTS)[];
  const given = field.fields(names);
  const entitlements: Record<string, boolean | number> = {};
  for (const name of names) {
    if (!given[name].isGiven) continue;
    if (name in SWITCHES) entitlements[SWITCHES[name as keyof typeof SWITCHES]] = given[name].boolean();
    else entitlements[COUNTS[name as keyof typeof COUNTS]] = given[name].integer({ min: 0, max: 1_000_000 });
  }
  return { entitlements, named: Object.keys(entitlements).length === 0 ? [] : namesGiven(given) };
}

/** A budget in micro-cents; an amount finer than that is refused rather than rounded, so that the file means what it says. */
function moneyBudgetOf(field: Field): bigint | null | undefined {
  if (!field.isNamed) return undefined;
  if (!field.isGiven) return null;
  const result = microcentsFromUsd(field.decimal());
  return result.ok ? result.microcents : field.fail(`must ${result.rule}`);
}

/** The levels that `field` names, each as `read` reads it. */
function eachLevel<T>(field: Field, read: (level: Field) => T): Record<string, T> {
  const given = field.fields(CALLER_LEVELS);
  const levels = CALLER_LEVELS.filter((level) => given[level].isGiven).map((level) => [level, read(given[level])] as const);
  return Object.fromEntries(levels);
}

const parseLevels = (field: Field): Record<string, string> =>
  eachLevel(field, (level) => level.text({ pattern: LEVEL_VALUE, rule: 'a value of 1 to 128 letters, digits, ".", "_" and "-"' }));

const parseCallerLevels = (field: Field): Record<string, { pattern: string; required: boolean }> =>
  eachLevel(field, (level) => {
    const { pattern, required } = level.fields(['pattern', 'required']);
    return {
      pattern: pattern.text({ pattern: LEVEL_PATTERN, rule: 'a pattern of 1 to 128 letters, digits, ".", "_", "-" and "*"' }),
      required: required.or(false, (f) => f.boolean()),
    };
  });

/** What the file says of a key; `allowed_models: null` says that it may call every model. */
function parseKey(item: Field, seen: Set<string>, named: NamedFields): DeclaredKey {
  const given = item.fields(['id', 'output_bound', 'allowed_models', 'levels', 'caller_levels', 'rate_limits']);
  const id = given.id.text({ maxLength: 100 });
  refuseDouble(seen, id, given.id);
  const names = namesGiven(given);
  if (names.length === 0) item.fail('says nothing of the key; name output_bound, allowed_models, levels, caller_levels or rate_limits');
  named.add('key', id, names);
  return {
    id,
    outputBound: given.output_bound.or(undefined, (f) => f.oneOf(['hard', 'soft'])),
    levels: given.levels.isNamed ? given.levels.or(null, parseLevels) : undefined,
    callerLevels: given.caller_levels.isNamed ? given.caller_levels.or(null, parseCallerLevels) : undefined,
    rateLimits: given.rate_limits.isNamed ? parseRateLimits(given.rate_limits) : undefined,
    allowedModels: given.allowed_models.isNamed
      ? given.allowed_models.or(null, (f) => f.items().map((model) => model.text({ maxLength: 200 })))
      : undefined,
  };
}

function parseCurrency(field: Field): string {
  const code = field.text();
  return isCurrency(code) ? code : field.fail(`must ${CURRENCY_RULE}`);
}

function parseTenant(item: Field, seen: { tenants: Set<string>; keys: Set<string> }, named: NamedFields): DeclaredTenant {
  const given = item.fields([
    'id',
    'name',
    'require_budget',
    'allow_unpriced',
    'hide_amounts',
    'currency',
    'require_balance',
    'entitlements',
    'members',
    'keys',
    'money_budget_usd',
  ]);
  const id = given.id.text({ pattern: TENANT_ID, rule: TENANT_ID_RULE });
  refuseDouble(seen.tenants, id, given.id);
  const { entitlements, named: namedEntitlements } = parseEntitlements(given.entitlements);
  const membersSeen = new Set<string>();
  const members = given.members.items().map((member) => {
    const fields = member.fields(['id', 'email', 'role']);
    const memberId = fields.id.text({ pattern: MEMBER_ID, rule: MEMBER_ID_RULE });
    refuseDouble(membersSeen, memberId, fields.id);
    named.add('member', memberRecordId(id, memberId), namesGiven(fields));
    return {
      id: memberId,
      email: fields.email.text({ pattern: EMAIL, rule: 'an e-mail address' }),
      role: fields.role.or('member' as const, (f) => f.oneOf(['admin', 'member'])),
    };
  });
  const own = namesGiven(given).filter((name) => !['members', 'keys', 'entitlements'].includes(name));
  named.add('tenant', id, [...own, ...namedEntitlements.map((name) => `entitlements.${name}`)]);
  return {
    id,
    name: given.name.or(undefined, (f) => f.text({ maxLength: 256 })),
    requireBudget: given.require_budget.or(undefined, (f) => f.boolean()),
    allowUnpriced: given.allow_unpriced.or(undefined, (f) => f.boolean()),
    hideAmounts: given.hide_amounts.or(undefined, (f) => f.boolean()),
    currency: given.currency.or(undefined, parseCurrency),
    requireBalance: given.require_balance.or(undefined, (f) => f.boolean()),
    entitlements,
    members,
    moneyBudgetMicrocents: moneyBudgetOf(given.money_budget_usd),
    keys: given.keys.items().map((key) => parseKey(key, seen.keys, named)),
  };
}

/** Reads the section `tenants`. */
export function parseTenants(section: Field, named: NamedFields): DeclaredTenant[] {
  const seen = { tenants: new Set<string>(), keys: new Set<string>() };
  return section.items().map((item) => parseTenant(item, seen, named));
}
