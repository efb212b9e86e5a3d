import type { Model } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { PutModelCommand, UpdateModelCommand } from './commands.ts';
import { aliasEffects, modelNameNeeds, refuseAliases, refuseTakenId } from './model-names.ts';
import { checkModelId, checkText, checkWhole, firstOf, invalid, MAX_DECLARED_TOKENS, notFound, type Refusal } from './rules.ts';

const MAX_UPSTREAMS = 100;
const MAX_TAGS = 50;
const MAX_DESCRIPTION_LENGTH = 2000;
const MAX_WEIGHT = 1_000_000;

/** Refuses upstreams that are none, too many, named twice, or unknown: a model that nothing can answer is a mistake. */
function checkUpstreams(state: State, model: Model): Refusal | null {
  const ids = model.upstreams.map(({ id }) => id);
  if (ids.length === 0 || ids.length > MAX_UPSTREAMS) return invalid('upstreams', `list 1 to ${MAX_UPSTREAMS} upstreams`);
  if (new Set(ids).size < ids.length) return invalid('upstreams', 'name each upstream once');
  const unknown = ids.find((id) => state.record('upstream', id) === undefined);
  if (unknown !== undefined) return invalid('upstreams', `name upstreams that exist; there is no ${unknown}`);
  if (model.upstreams.every(({ weight }) => weight === 0)) return invalid('upstreams', 'give at least one upstream a weight above 0');
  return firstOf(
    ...model.upstreams.map(({ model: name }) => checkText('upstreams', name, 200)),
    ...model.upstreams.map(({ weight = 1 }) => checkWhole('upstreams.weight', weight, { min: 0, max: MAX_WEIGHT })),
    checkUpstreamLimits(model),
  );
}

/** An upstream may take and give less than the model; more would be a promise that the model's own limits break. */
const checkUpstreamLimits = ({ upstreams, contextTokens, maxOutputTokens }: Model): Refusal | null =>
  firstOf(
    ...upstreams.flatMap(({ contextTokens: own }) =>
      own === undefined ? [] : checkWhole('upstreams.context_tokens', own, { min: 1, max: contextTokens }),
    ),
    ...upstreams.flatMap(({ maxOutputTokens: own }) =>
      own === undefined ? [] : checkWhole('upstreams.max_output_tokens', own, { min: 1, max: maxOutputTokens }),
    ),
  );

function checkLimits(model: Model): Refusal | null {
  const output = { min: 1, max: model.maxOutputTokens };
  const media = { min: 0, max: MAX_DECLARED_TOKENS };
  return firstOf(
    checkWhole('context_tokens', model.contextTokens, { min: 1, max: MAX_DECLARED_TOKENS }),
    checkWhole('max_output_tokens', model.maxOutputTokens, { min: 1, max: MAX_DECLARED_TOKENS }),
    checkWhole('default_output_tokens', model.defaultOutputTokens, output),
    model.tokenizer === null ? null : checkText('tokenizer', model.tokenizer, 64),
    checkWhole('prompt_overhead_tokens', model.promptOverheadTokens, media),
    checkWhole('margin_percent', model.marginPercent, { min: 0, max: 1000 }),
    checkWhole('max_image_tokens', model.maxImageTokens ?? 0, media),
    checkWhole('max_audio_tokens', model.maxAudioTokens ?? 0, media),
    checkWhole('max_file_tokens', model.maxFileTokens ?? 0, media),
    checkWhole('max_audio_seconds', model.maxAudioSeconds ?? 0, media),
    model.tags.length > MAX_TAGS ? invalid('tags', `be at most ${MAX_TAGS}`) : null,
    ...model.tags.map((tag) => checkText('tags', tag, 64)),
    checkText('description', model.description ?? 'none', MAX_DESCRIPTION_LENGTH),
  );
}

function putModel(
  command: PutModelCommand | UpdateModelCommand,
  next: { state: State; model: Model; isNew: boolean; nowMs: number },
): Decision<Model> {
  const { state, model, isNew, nowMs } = next;
  // Aliases that the command does not bring are those that the model has: they were looked at when they came.
  const aliases = command.verb === 'put-model' ? (command.model.aliases ?? []) : command.changes.aliases;
  const bad = checkLimits(model) ?? (aliases === undefined ? null : refuseAliases(state, model));
  if (bad !== null) return refuse(bad);
  const events = eventEffects(command, nowMs, [{ type: isNew ? 'model.created' : 'model.updated', data: { model_id: model.id } }]);
  const names = aliases === undefined ? [] : aliasEffects(state, model.id, aliases);
  return { outcome: accepted(model), effects: [{ type: 'record', kind: 'model', id: model.id, record: model }, ...names, ...events] };
}

/**
 * Makes a model or, with `replace`, makes it so whether it is there or not. The value is the model.
 *
 * Rejects, in this order: `invalid_request` (id), `conflict` (the id is taken, or an alias), `invalid_request` (upstreams, the limits,
 * tags, description, aliases), `conflict` (an alias is taken).
 */
export const putModelVerb: Verb<PutModelCommand, Model> = {
  needs: ({ model }) => ({
    tenantLock: 'exclusive',
    records: [
      { kind: 'model', id: model.id },
      ...model.upstreams.map(({ id }) => ({ kind: 'upstream', id }) as const),
      ...modelNameNeeds(model.aliases ?? []),
    ],
  }),
  decide: (state, command, nowMs) => {
    const { id } = command.model;
    const bad = checkModelId(id);
    if (bad !== null) return refuse(bad);
    const before = state.record('model', id);
    if (before !== undefined && !command.replace)
      return refuse(rejected({ code: 'conflict', message: `the model ${id} exists already`, field: 'id' }));
    const taken = before === undefined ? refuseTakenId(state, id) : null;
    if (taken !== null) return refuse(taken);
    const model: Model = { ...command.model, createdAtMs: before?.createdAtMs ?? nowMs };
    const badUpstreams = checkUpstreams(state, model);
    if (badUpstreams !== null) return refuse(badUpstreams);
    return putModel(command, { state, model, isNew: before === undefined, nowMs });
  },
};

/**
 * Changes what is given of a model. The value is the model as it is now.
 *
 * The upstreams are looked at again only where they change: one that went away since must not stand in the way of another change.
 * Rejects, in this order: `not_found`, `invalid_request` (as making one does).
 */
export const updateModelVerb: Verb<UpdateModelCommand, Model> = {
  needs: ({ modelId, changes }) => ({
    tenantLock: 'exclusive',
    records: [
      { kind: 'model', id: modelId },
      ...(changes.upstreams ?? []).map(({ id }) => ({ kind: 'upstream', id }) as const),
      ...(changes.aliases === undefined ? [] : modelNameNeeds(changes.aliases)),
    ],
  }),
  decide: (state, command, nowMs) => {
    const before = state.record('model', command.modelId);
    if (before === undefined) return refuse(notFound(`model ${command.modelId}`));
    const model: Model = { ...before, ...command.changes };
    const badUpstreams = command.changes.upstreams === undefined ? checkUpstreamLimits(model) : checkUpstreams(state, model);
    if (badUpstreams !== null) return refuse(badUpstreams);
    return putModel(command, { state, model, isNew: false, nowMs });
  },
};
