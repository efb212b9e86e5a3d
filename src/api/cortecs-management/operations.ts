import Type from 'typebox';
import { named, object, orNull, type DocumentedSurface, type Operation, type Operations } from '../_shared/openapi/operation.ts';
import { WindowBudget, WindowReset } from '../_shared/budget-rules.ts';
import { MANAGEMENT_PREFIXES } from './prefixes.ts';

const ManagedKey = named(
  'ManagedKey',
  object({
    name: Type.String(),
    created_at: Type.Integer({ description: 'Seconds since 1970.' }),
    is_management_key: Type.Boolean(),
  }),
);

const CreatedManagedKey = named(
  'CreatedManagedKey',
  object({ api_key: Type.String({ description: 'The value of the key, told this once.' }), ...ManagedKey.properties }),
);

const ids = (description: string) => Type.Array(Type.String(), { description });

const InferenceConfig = named(
  'InferenceConfig',
  object({
    preference: Type.Union([Type.Literal('speed'), Type.Literal('cost'), Type.Literal('balanced')], {
      description: 'What upstreams are ranked for.',
    }),
    allowed_providers: orNull(Type.Array(Type.String()), 'The providers that may answer; null or an empty list is every provider.'),
    blacklisted_models: ids('Models that nobody in the project may call.'),
    eu_native: Type.Boolean({ description: 'Only providers that are based and regulated in the EU.' }),
    allow_quantization: Type.Boolean(),
    allow_zero_data_retention: Type.Boolean({ description: 'Whether only upstreams that retain nothing may answer.' }),
    include_metadata: Type.Boolean({ description: 'Whether answers tell how they were routed.' }),
    enable_model_fallback: Type.Boolean(),
    fallbacks: ids('Models to fall back to, in this order.'),
  }),
);

const DateTime = Type.String({ format: 'date-time', description: 'With milliseconds, UTC.' });

const ProjectConfig = named(
  'ProjectConfig',
  object({
    _id: Type.String({ pattern: '^[0-9a-f]{24}$' }),
    project_id: Type.String({ description: 'The id of the tenant.' }),
    inference_config: InferenceConfig,
    allow_overwrite: Type.Boolean({ description: 'Whether a call may ask for settings of its own.' }),
    created_at: DateTime,
    updated_at: DateTime,
  }),
);

const UserBalance = named(
  'UserBalance',
  object({ current_balance: Type.Number({ description: 'With cents.' }), currency: Type.String({ description: 'Such as `EUR`.' }) }),
);

/** The body of this surface's errors. */
const ManagementError = named('ManagementError', object({ error: Type.String({ description: 'One sentence.' }) }));

const OPERATIONS: Operations = {
  'GET /api-keys': {
    id: 'listManagedKeys',
    summary: "List the member's keys",
    description: "The inference and management keys of the management key's member, wherever they were made, oldest first.",
    answers: { 200: { description: 'The keys, without their values.', schema: object({ api_keys: Type.Array(ManagedKey) }) } },
  },
  'POST /api-keys': {
    id: 'createManagedKey',
    summary: 'Create a key of the member',
    description: 'An inference key or, with `is_management_key`, another management key. No other key of the member may have its name.',
    answers: { 201: { description: 'The new key with its value.', schema: CreatedManagedKey } },
  },
  'DELETE /api-keys': {
    id: 'deleteManagedKey',
    summary: 'Delete a key of the member by its name',
    description: 'Named in the body or in the query. A name that several keys have deletes none, and no key deletes itself.',
    query: { name: { description: 'The name, for clients that send no body.', schema: Type.String() } },
    answers: {
      200: { description: 'It is deleted.', schema: object({ success: Type.Literal(true), deleted: Type.String() }) },
    },
    errors: [404],
  },
  'GET /project-configs': {
    id: 'getProjectConfig',
    summary: 'Show the settings of the project',
    answers: { 200: { description: 'The settings; the defaults where nobody has set any.', schema: ProjectConfig } },
  },
  'PUT /project-configs': {
    id: 'updateProjectConfig',
    summary: 'Change the settings of the project',
    description:
      'For members who are admins. `inference_config` replaces the one before as a whole; what it leaves out has its default. What the body leaves out, or gives as null, stays. The two moments are required and set nothing.',
    answers: { 200: { description: 'They are changed.', schema: object({ success: Type.Literal(true) }) } },
  },
  'GET /budgets': {
    id: 'listBudgets',
    summary: 'List the budgets of the project',
    description: 'What its calls may spend in a day, week or month, with what of the present windows is used. Our extension.',
    answers: { 200: { description: 'The budgets, oldest first.', schema: object({ budgets: Type.Array(WindowBudget) }) } },
  },
  'PUT /budgets': {
    id: 'putBudget',
    summary: 'Set the limit of a budget',
    description:
      'For members who are admins. Scope, target and period name the budget, which is made where there is none; a new one counts what was spent in its present window before. A key is named by its id, or by its name where no other key of the project has it. Our extension.',
    answers: { 200: { description: 'The budget as it is now.', schema: WindowBudget } },
    errors: [404, 409],
  },
  'DELETE /budgets': {
    id: 'deleteBudget',
    summary: 'Delete a budget',
    description: 'For members who are admins. Named in the body or in the query. Our extension.',
    query: { id: { description: 'The id, for clients that send no body.', schema: Type.String() } },
    answers: { 200: { description: 'It is deleted.', schema: object({ success: Type.Literal(true), deleted: Type.String() }) } },
    errors: [404],
  },
  'POST /budgets/reset': {
    id: 'resetBudget',
    summary: 'Let a window begin anew',
    description:
      'For members who are admins. What was spent so far in the present window counts no more. A budget for each user or key takes the `target` whose window it is. Our extension.',
    answers: { 200: { description: 'What was put out of account.', schema: WindowReset } },
    errors: [404, 409],
  },
  'GET /users/balance': {
    id: 'getUserBalance',
    summary: 'Show the prepaid balance',
    answers: { 200: { description: 'The balance of the tenant.', schema: UserBalance } },
  },
};

/** The operations below one prefix. Ids are each there once, so the second base of the same paths has them with a suffix. */
function operationsBelow(prefix: string): Operations {
  const suffix = prefix === MANAGEMENT_PREFIXES[0] ? '' : 'V1';
  const place = ([key, operation]: [string, Operation]): [string, Operation] => [
    key.replace(' ', ` ${prefix}`),
    { ...operation, id: operation.id + suffix },
  ];
  return Object.fromEntries(Object.entries(OPERATIONS).map(place));
}

/** What the document tells about the management API. */
export const MANAGEMENT_SURFACE: DocumentedSurface = {
  id: 'cortecs-management',
  title: 'Cortecs management API',
  description: 'Keys, project settings and balance, for members with a management key.',
  prefixes: MANAGEMENT_PREFIXES,
  operations: Object.assign({}, ...MANAGEMENT_PREFIXES.map(operationsBelow)) as Operations,
  security: ['managementKey'],
  errors: { form: ManagementError, always: [400, 401, 403, 421, 500, 503], codes: [] },
};
