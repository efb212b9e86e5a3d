import type { ApiKey, Model } from '../records.ts';

/**
 * Whether a key may call a model, under whatever name it is asked for. A model that it may not call is answered like one that does not
 * exist, and is in no list that it sees: a key does not learn what else there is.
 */
export const mayUseModel = ({ allowedModels = null }: Pick<ApiKey, 'allowedModels'>, model: Pick<Model, 'id'>): boolean =>
  allowedModels === null || allowedModels.includes(model.id);
