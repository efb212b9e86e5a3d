import { checkModelId, checkText, firstOf, invalid, type Refusal } from '../access/rules.ts';
import { accepted, type Outcome } from '../rejection.ts';

/** What upstreams are ranked for. Source: Cortecs management API, `preference`. */
export type Preference = 'speed' | 'cost' | 'balanced';

/**
 * How the calls of a project find their way. Lists of ids and slugs as they were written; a model may be named by an alias.
 * `allowedProviders` null is every provider; `allowZeroDataRetention` true means, despite its name, only upstreams that retain nothing.
 * Source: Cortecs management API, `inference_config`.
 */
export interface InferenceSettings {
  readonly preference: Preference;
  readonly allowedProviders: readonly string[] | null;
  readonly blacklistedModels: readonly string[];
  readonly euNative: boolean;
  readonly allowQuantization: boolean;
  readonly allowZeroDataRetention: boolean;
  readonly includeMetadata: boolean;
  readonly enableModelFallback: boolean;
  readonly fallbacks: readonly string[];
}

/** What one call asks for of them; a project's list of forbidden models is nobody's to change. */
export type RequestedSettings = Partial<Omit<InferenceSettings, 'blacklistedModels'>>;

/**
 * What a tenant has set for its calls. `inference` holds what was given; the rest is {@link INFERENCE_DEFAULTS}. Without `allowOverwrite`
 * a call's own wishes count for nothing. A tenant without settings has {@link untouchedSettings}.
 */
export interface ProjectSettings {
  readonly allowOverwrite: boolean;
  readonly inference: Partial<InferenceSettings>;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** What holds where nobody has said anything. Source: Cortecs reference, section 2. */
export const INFERENCE_DEFAULTS: InferenceSettings = {
  preference: 'balanced',
  allowedProviders: null,
  blacklistedModels: [],
  euNative: false,
  allowQuantization: true,
  allowZeroDataRetention: false,
  includeMetadata: false,
  enableModelFallback: false,
  fallbacks: [],
};

/** The settings of a tenant that never set any: as old as the tenant, and open to what each call asks for. */
export const untouchedSettings = (createdAtMs: number): ProjectSettings => ({
  allowOverwrite: true,
  inference: {},
  createdAtMs,
  updatedAtMs: createdAtMs,
});

/** All settings of a project, its own where it has set them. */
export const projectInference = (project: ProjectSettings | undefined): InferenceSettings => ({
  ...INFERENCE_DEFAULTS,
  ...project?.inference,
});

/**
 * What holds for one call: the defaults, over them the project's settings, over them, where the project allows it, the call's own. The
 * project wins in silence where it does not. An empty list of providers is no list: every provider.
 *
 * `project` is undefined for a tenant without settings; `requested` is what {@link parseRequestedSettings} found in the body.
 */
export function effectiveSettings(project: ProjectSettings | undefined, requested: RequestedSettings): InferenceSettings {
  const own = projectInference(project);
  const effective = project === undefined || project.allowOverwrite ? { ...own, ...requested } : own;
  return effective.allowedProviders?.length === 0 ? { ...effective, allowedProviders: null } : effective;
}

/** Most entries of a list. */
const MAX_PROVIDERS = 100;
const MAX_MODELS = 500;
const MAX_FALLBACKS = 20;
const MAX_PROVIDER_LENGTH = 64;

const PREFERENCES: ReadonlySet<unknown> = new Set<Preference>(['speed', 'cost', 'balanced']);

type Check = (field: string, value: unknown) => Refusal | null;

const checkPreference: Check = (field, value) => (PREFERENCES.has(value) ? null : invalid(field, 'be one of speed, cost, balanced'));

const checkFlag: Check = (field, value) => (typeof value === 'boolean' ? null : invalid(field, 'be true or false'));

function checkList(max: number, checkEntry: (field: string, entry: string) => Refusal | null): Check {
  return (field, value) => {
    if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string')) return invalid(field, 'be a list of strings');
    if (value.length > max) return invalid(field, `list at most ${max}`);
    return firstOf(...value.map((entry, index) => checkEntry(`${field}.${index}`, entry)));
  };
}

const checkProviders = checkList(MAX_PROVIDERS, (field, slug) => checkText(field, slug, MAX_PROVIDER_LENGTH));

const checkModels = (max: number): Check =>
  checkList(max, (field, id) => (checkModelId(id) === null ? null : invalid(field, 'be the id of a model')));

/** Every setting by its name on the wire: where it is kept, and the check of a value that is not null. */
const FIELDS = {
  preference: ['preference', checkPreference],
  allowed_providers: ['allowedProviders', checkProviders],
  blacklisted_models: ['blacklistedModels', checkModels(MAX_MODELS)],
  eu_native: ['euNative', checkFlag],
  allow_quantization: ['allowQuantization', checkFlag],
  allow_zero_data_retention: ['allowZeroDataRetention', checkFlag],
  include_metadata: ['includeMetadata', checkFlag],
  enable_model_fallback: ['enableModelFallback', checkFlag],
  fallbacks: ['fallbacks', checkModels(MAX_FALLBACKS)],
} as const satisfies Readonly<Record<string, readonly [keyof InferenceSettings, Check]>>;

type WireField = keyof typeof FIELDS;

const ALL_FIELDS = Object.keys(FIELDS) as readonly WireField[];

/** The fields of a call's body that are the router's: they are never sent upstream. */
export const REQUEST_FIELDS: readonly WireField[] = ALL_FIELDS.filter((field) => field !== 'blacklisted_models');

type WireObject = Readonly<Record<string, unknown>>;

/** Reads those of `fields` that the object gives; null is as if not given. `prefix` stands before their names in a refusal. */
function readFields(given: WireObject, fields: readonly WireField[], prefix: string): Outcome<Partial<InferenceSettings>> {
  const found: Record<string, unknown> = {};
  for (const field of fields) {
    const value = Object.hasOwn(given, field) ? given[field] : null;
    if (value === null || value === undefined) continue;
    const [member, check] = FIELDS[field];
    const refusal = check(prefix + field, value);
    if (refusal !== null) return refusal;
    found[member] = value;
  }
  return accepted(found);
}

/** What the body of a call asks of the router; null counts as not asked. Rejects: `invalid_request`, whether or not it would count. */
export const parseRequestedSettings = (body: WireObject): Outcome<RequestedSettings> => readFields(body, REQUEST_FIELDS, '');

/**
 * The settings in an `inference_config`; null counts as not given. Rejects: `invalid_request`, also for a name that is none of them, for a
 * slip of the pen must not leave a rule unset in silence.
 */
export function parseInferenceConfig(config: WireObject): Outcome<Partial<InferenceSettings>> {
  const unknown = Object.keys(config).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined) return invalid(`inference_config.${unknown.slice(0, 100)}`, `be one of ${ALL_FIELDS.join(', ')}`);
  return readFields(config, ALL_FIELDS, 'inference_config.');
}

/** Settings by their names on the wire, for answers and for the audit. */
export const inferenceObject = (settings: InferenceSettings): Readonly<Record<WireField, string | boolean | readonly string[] | null>> => ({
  preference: settings.preference,
  allowed_providers: settings.allowedProviders,
  blacklisted_models: settings.blacklistedModels,
  eu_native: settings.euNative,
  allow_quantization: settings.allowQuantization,
  allow_zero_data_retention: settings.allowZeroDataRetention,
  include_metadata: settings.includeMetadata,
  enable_model_fallback: settings.enableModelFallback,
  fallbacks: settings.fallbacks,
});
