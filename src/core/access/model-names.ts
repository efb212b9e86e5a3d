import type { Effect } from '../effects.ts';
import { MODEL_ALIASES, type Model, type RecordRef } from '../records.ts';
import { rejected } from '../rejection.ts';
import type { State } from '../verb.ts';
import { checkModelId, invalid, type Refusal } from './rules.ts';

const MAX_ALIASES = 50;

/** Which model each alias stands for. */
type Aliases = ReadonlyMap<string, string>;

/** What the decisions on names look at: who has which alias, and the models that are called like one of `aliases`. */
export const modelNameNeeds = (aliases: readonly string[]): RecordRef[] => [
  { kind: 'setting', id: MODEL_ALIASES },
  ...aliases.map((id) => ({ kind: 'model', id }) as const),
];

function aliasesOf(state: State): Aliases {
  const value = state.record('setting', MODEL_ALIASES)?.value ?? {};
  return new Map(Object.entries(value as Readonly<Record<string, string>>));
}

/** Refuses the id of a new model that is another one's alias: `conflict`. */
export function refuseTakenId(state: State, id: string): Refusal | null {
  const owner = aliasesOf(state).get(id);
  if (owner === undefined || owner === id) return null;
  return rejected({ code: 'conflict', message: `${id} is an alias of the model ${owner}`, field: 'id' });
}

/**
 * Refuses the aliases of a model: `invalid_request` for too many, one that is no name of a model, one that stands there twice or is the
 * model's own id; `conflict` for one that is the id or an alias of another model.
 */
export function refuseAliases(state: State, { id, aliases = [] }: Pick<Model, 'id' | 'aliases'>): Refusal | null {
  if (aliases.length > MAX_ALIASES) return invalid('aliases', `be at most ${MAX_ALIASES}`);
  if (aliases.some((alias) => checkModelId(alias) !== null)) return invalid('aliases', 'be names such as a model may have');
  if (new Set(aliases).size < aliases.length) return invalid('aliases', 'name each alias once');
  if (aliases.includes(id)) return invalid('aliases', 'be other names than the id of the model');
  const taken = aliasesOf(state);
  for (const alias of aliases) {
    if (state.record('model', alias) !== undefined)
      return rejected({ code: 'conflict', message: `there is a model ${alias}, so it cannot be an alias`, field: 'aliases' });
    const owner = taken.get(alias) ?? id;
    if (owner !== id)
      return rejected({ code: 'conflict', message: `${alias} is an alias of the model ${owner} already`, field: 'aliases' });
  }
  return null;
}

/** Makes `aliases` those of the model `id`, and all that it had before free. Nothing where they are the same. */
export function aliasEffects(state: State, id: string, aliases: readonly string[]): Effect[] {
  const before = aliasesOf(state);
  const own = [...before].filter(([, owner]) => owner === id).map(([alias]) => alias);
  if (own.length === aliases.length && aliases.every((alias) => before.get(alias) === id)) return [];
  const others = [...before].filter(([, owner]) => owner !== id);
  const value = Object.fromEntries([...others, ...aliases.map((alias) => [alias, id] as const)]);
  return [{ type: 'record', kind: 'setting', id: MODEL_ALIASES, record: { id: MODEL_ALIASES, value } }];
}
