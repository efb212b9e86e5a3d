import type { Model } from '../records.ts';
import type { FilteredOut } from './filter-candidates.ts';
import type { InferenceSettings } from './settings.ts';

/** Whether a project forbids a model, by its id or by one of its aliases. */
export const isBlacklisted = (model: Model, settings: InferenceSettings | null): boolean =>
  settings !== null &&
  settings.blacklistedModels.length > 0 &&
  (settings.blacklistedModels.includes(model.id) || (model.aliases ?? []).some((alias) => settings.blacklistedModels.includes(alias)));

/**
 * The models that may answer after `asked`, in the order in which the settings list them, each once; none unless fallback is enabled.
 *
 * One that does not exist, that the key may not call or that the project forbids is passed over, and all three alike: what a key may not
 * call does not exist for it.
 */
export function fallbackModels(options: {
  readonly asked: Model;
  readonly settings: InferenceSettings | null;
  readonly modelOf: (name: string) => Model | undefined;
  readonly mayUse: (model: Model) => boolean;
}): { readonly models: readonly Model[]; readonly filteredOut: readonly FilteredOut[] } {
  const { asked, settings } = options;
  if (settings === null || !settings.enableModelFallback) return { models: [], filteredOut: [] };
  const models: Model[] = [];
  const filteredOut: FilteredOut[] = [];
  const seen = new Set([asked.id]);
  for (const name of settings.fallbacks) {
    const model = options.modelOf(name);
    if (model === undefined || !options.mayUse(model) || isBlacklisted(model, settings)) {
      const reason = 'It does not exist, or may not be called here.';
      filteredOut.push({ upstreamId: null, provider: null, modelId: name, filter: 'model', reason });
    } else if (!seen.has(model.id)) {
      seen.add(model.id);
      models.push(model);
    }
  }
  return { models, filteredOut };
}
