import type { Declared } from './judge.ts';

/** The same difference in several places. */
const each = (places: readonly string[], difference: string): string[] => places.map((place) => `${place}${difference}`);

/** Both bounds of a parameter. */
const bounds = (place: string): string[] => [`${place}: maximum is 100 there and none here`, `${place}: minimum is 1 there and none here`];

const EVENT_DATA = [
  'BudgetLifecycle',
  'BudgetLifecycle.previous_state',
  'BudgetLifecycle.new_state',
  'BudgetThreshold',
  'BudgetOverLimit',
  'BudgetDebtIncurred',
  'BurnRateAnomaly',
  'ReservationDenied',
  'ReservationExpired',
  'RateSpike',
  'CommitOverage',
  'TenantLifecycle',
  'WebhookLifecycle',
  'ApiKey',
  'Policy',
  'System',
  'TenantCascade',
].map((name) => `governance answer EventData${name}`);

const OPEN_ANSWERS = [
  'TenantListResponse',
  'ErrorResponse',
  'BudgetFundingResponse',
  'PolicyListResponse',
  'ApiKeyListResponse',
  'ApiKeyCreateResponse',
  'ApiKeyValidationResponse',
  'AuthIntrospectResponse',
  'AuthIntrospectResponse.capabilities',
  'AuditLogListResponse',
  'AuditLogEntry',
  'AdminOverviewResponse',
  'WebhookListResponse',
  'WebhookCreateResponse',
  'WebhookTestResponse',
  'WebhookDeliveryListResponse',
  'EventListResponse',
  'replayEvents 202',
].map((name) => `governance answer ${name}`);

const BOUNDED_LISTS = [
  'listTenants',
  'listWebhookSubscriptions',
  'listWebhookDeliveries',
  'listEvents',
  'listTenantWebhooks',
  'listTenantWebhookDeliveries',
  'listTenantEvents',
  'getBalances',
];

const TTL_OVERRIDE = 'governance request PolicyCreateRequest.reservation_ttl_override';

/**
 * Every difference between the published documents of the Cycles protocol and our descriptions, with the decision behind it.
 *
 * `there` is the published document, `here` is this program. The check fails for one that is missing and for one that is no longer so.
 */
export const DECLARED: readonly Declared[] = [
  {
    reason: 'No evidence is kept yet: its two paths answer 404 in the form of the protocol, and no answer refers to evidence.',
    differences: [
      ...each(
        ['DecisionResponse', 'ErrorResponse', 'ReservationCreateResponse', 'CommitResponse', 'ReleaseResponse'].map(
          (name) => `runtime answer ${name}`,
        ),
        '.cycles_evidence: is only there',
      ),
      ...each(['runtime answer ReservationSummary', 'runtime answer ReservationDetail'], '.evidence: is only there'),
      ...each(['runtime getEvidence', 'runtime getEvidenceJwks'], ': status 200 is only there'),
      ...each(
        ['CyclesEvidenceEnvelope', 'CyclesEvidenceJwks', 'CyclesEvidenceJwk', 'CyclesEvidenceRef', 'ReservationEvidence'].map(
          (name) => `runtime component ${name}`,
        ),
        ': is compared with nothing',
      ),
    ],
  },
  {
    reason: 'Observe mode and quotas by kind of action belong to the next version: a filter by them is not taken for one that finds all.',
    differences: [
      'governance listTenants: query observe_mode is only there',
      'governance request TenantBulkFilter.observe_mode: is only there',
      'governance listPolicies: query has_action_quotas is only there',
      'governance listPolicies: query references_action_kind is only there',
    ],
  },
  {
    reason:
      'Any route can be refused before it is reached, throttled, or find the database out of reach; the documents name no such status.',
    differences: ['runtime', 'governance'].flatMap((plane) =>
      ['413', '415', '421', '429', '503'].map((status) => `${plane} every operation: status ${status} is only here`),
    ),
  },
  {
    reason: 'A list always says whether more follows, so that nobody has to guess from a missing cursor.',
    differences: each(
      [
        'runtime answer ReservationListResponse',
        'runtime answer BalanceResponse',
        'governance answer TenantListResponse',
        'governance answer BudgetListResponse',
        'governance answer PolicyListResponse',
        'governance answer ApiKeyListResponse',
        'governance answer BalanceListResponse',
      ],
      '.has_more: is required only here',
    ),
  },
  {
    reason: 'Answers have no field that is not described, also where the document would allow one: clients that are strict lose nothing.',
    differences: [...each(OPEN_ANSWERS, ': is open there and closed here'), ...each(EVENT_DATA, ': is open there and closed here')],
  },
  {
    reason: 'An unknown field of a request is refused everywhere, for it is a mistake of the caller that would otherwise pass in silence.',
    differences: each(['governance request ApiKeyValidationRequest', 'governance request replayEvents'], ': is open there and closed here'),
  },
  {
    reason: 'Lists of the governance plane take a limit beyond 1 to 100 for the nearest of them: the public dashboard asks for 2000.',
    differences: BOUNDED_LISTS.flatMap((id) => bounds(`governance request ${id}.query limit`)),
  },
  {
    reason: 'The admin guide writes an amount as a whole number in the unit of its budget.',
    differences: ['governance request Amount: is also integer here'],
  },
  {
    reason: 'What the document has no operation for lies below a prefix of our own, as it asks of vendors.',
    differences: [
      'governance POST /v1/x-castellan/budgets/close: is only here',
      'governance GET /v1/x-castellan/policies/{policy_id}: is only here',
      'governance DELETE /v1/x-castellan/policies/{policy_id}: is only here',
    ],
  },
  {
    reason:
      'The admin guide creates a tenant with `status: ACTIVE`, names the overage policy of a policy `overage_policy`, gives the permission `events:create`, and reads the audit trail at another path.',
    differences: [
      'governance request TenantCreateRequest.status: is only here',
      'governance request PolicyCreateRequest.overage_policy: is only here',
      'governance request updatePolicy.overage_policy: is only here',
      'governance request Permission: value events:create is only here',
      'governance answer Permission: value events:create is only here',
      'governance GET /v1/admin/audit-logs: is only here',
    ],
  },
  {
    reason: 'What could not be shown is not taken: the limits of a thing hold where it is made and changed, not only where it is answered.',
    differences: [
      'governance request TenantCreateRequest.metadata: maxProperties is none there and 32 here',
      'governance request updateTenant.name: maxLength is none there and 256 here',
      'governance request updateTenant.metadata: maxProperties is none there and 32 here',
      'governance request updateTenant.metadata: is open there and open to some here',
      ...each(
        ['PolicyCreateRequest', 'updatePolicy', 'ApiKeyCreateRequest'].map((name) => `governance request ${name}`),
        '.name: maxLength is none there and 256 here',
      ),
      ...each(
        ['PolicyCreateRequest', 'updatePolicy', 'ApiKeyCreateRequest'].map((name) => `governance request ${name}`),
        '.description: maxLength is none there and 1024 here',
      ),
      ...['default_ttl_ms', 'max_ttl_ms'].flatMap((name) => [
        `${TTL_OVERRIDE}.${name}: maximum is none there and 86400000 here`,
        `${TTL_OVERRIDE}.${name}: minimum is none there and 1000 here`,
      ]),
      `${TTL_OVERRIDE}.max_extensions: minimum is none there and 0 here`,
      'governance request PolicyCreateRequest.rate_limits.max_reservations_per_minute: is only here',
      'governance request PolicyCreateRequest.rate_limits.max_commits_per_minute: is only here',
      'governance request PolicyCreateRequest.rate_limits: is open there and closed here',
    ],
  },
  {
    reason: 'An empty secret would sign nothing.',
    differences: each(
      ['governance request WebhookCreateRequest', 'governance request WebhookUpdateRequest'],
      '.signing_secret: minLength is none there and 1 here',
    ),
  },
  {
    reason: 'A tenant that was made on another surface shows here under the id that it has, which may be shorter.',
    differences: [
      'governance answer Tenant.tenant_id: maxLength is 64 there and none here',
      'governance answer Tenant.tenant_id: minLength is 3 there and none here',
      'governance answer Tenant.tenant_id: pattern is ^[a-z0-9-]+$ there and none here',
    ],
  },
  {
    reason: 'A tenant that is not there is told as such, as the reference servers do.',
    differences: each(
      ['createBudget', 'createPolicy', 'bulkActionWebhooks'].map((id) => `governance ${id}`),
      ': status 404 is only here',
    ),
  },
  {
    reason: 'The configuration file wins for the fields that it names: changing one of them is a conflict that names the file.',
    differences: ['governance updateTenant: status 409 is only here'],
  },
  {
    reason: 'What a key may not do is told, too: the public dashboard takes a capability that is left out for one that is there.',
    differences: each(
      [
        'view_reservations',
        'manage_budgets',
        'manage_policies',
        'manage_webhooks',
        'manage_tenants',
        'manage_api_keys',
        'manage_reservations',
      ].map((name) => `governance answer AuthIntrospectResponse.capabilities.${name}`),
      ': is required only here',
    ),
  },
  {
    reason: 'A replay always says what it is called and how much it queued; the public dashboard shows both.',
    differences: each(
      ['replay_id', 'events_queued'].map((name) => `governance answer replayEvents 202.${name}`),
      ': is required only here',
    ),
  },
  {
    reason: 'An event that tells of a changed budget says which fields changed, as those of tenants, webhooks and policies do.',
    differences: ['governance answer EventDataBudgetLifecycle.changed_fields: is only here'],
  },
  {
    reason: 'Denials, and keys that are not good, that come too fast to be told one by one are told as one event with their number.',
    differences: each(
      ['EventDataReservationDenied', 'EventDataApiKey'].map((name) => `governance answer ${name}.count`),
      ': is only here',
    ),
  },
];
