import Type from 'typebox';
import { MAX_REPORT_EVENTS, type UnbookedEvent } from '../../app/reports/accept-report.ts';
import { MAX_CALL_TOKENS } from '../../core/metering/token-usage.ts';
import { MAX_METERS, MAX_REPORTED_REQUESTS, MAX_REPORTED_TEXT_CHARS, REPORTED_EVENT_ID } from '../../core/usage/reported-event.ts';
import { errorCodes } from '../_shared/openapi/error-codes.ts';
import { named, object, orNull, type DocumentedSurface, type Operations, type Parameter } from '../_shared/openapi/operation.ts';
import type { ErrorForm } from '../_shared/problem.ts';
import { shimForm, tinfoilForm } from './errors.ts';
import { TinfoilError } from './operations.ts';
import { REPORTS_PATH } from './routes/usage-reports.ts';

/** Reporters of other versions send more fields than those that are named; they are passed over. */
const open = { additionalProperties: true };

const Text = (description: string) =>
  Type.Optional(Type.Union([Type.String({ maxLength: MAX_REPORTED_TEXT_CHARS }), Type.Null()], { description }));
const Fields = <T extends Parameters<typeof Type.Object>[0]>(properties: T) =>
  Type.Optional(Type.Union([Type.Object(properties, open), Type.Null()]));

/** One event of a usage report, as far as it is judged: one that breaks a rule of it is not booked, and hinders no other. */
export const ReportedUsage = named(
  'ReportedUsage',
  Type.Object(
    {
      event_id: Type.String({
        pattern: REPORTED_EVENT_ID.source,
        description: 'Under it an event of a reporter is booked once at most.',
      }),
      api_key: Type.String({
        minLength: 1,
        maxLength: MAX_REPORTED_TEXT_CHARS,
        description: 'The full value of the key that pays; only its keyed hash and its mask are kept.',
      }),
      occurred_at: Type.String({ format: 'date-time', description: 'When it happened, which decides its price and its place in usage.' }),
      request_id: Text('As the reporter calls the request.'),
      operation: Fields({ service: Text('What did it.'), name: Text('What was done.') }),
      attributes: Fields({
        model: Text('The id of the model, which decides the price.'),
        route: Text('The path of the call.'),
        streaming: Text('`true` where the answer was streamed.'),
      }),
      customer_requests: Type.Optional(
        Type.Union([Type.Integer({ minimum: 0, maximum: MAX_REPORTED_REQUESTS }), Type.Null()], {
          description: 'How many requests of a customer it stands for; 0 for a call inside of one that another event tells.',
        }),
      ),
      meters: Type.Optional(
        Type.Union(
          [
            Type.Array(Type.Object({ name: Text('Each once.'), quantity: Type.Integer({ minimum: 0, maximum: MAX_CALL_TOKENS }) }, open), {
              maxItems: MAX_METERS,
            }),
            Type.Null(),
          ],
          { description: '`input_tokens`, `output_tokens` and `cached_input_tokens`; what counts anything else cannot be priced.' },
        ),
      ),
    },
    open,
  ),
);

const UsageReport = named(
  'UsageReport',
  Type.Object(
    {
      delivery_id: Type.String({ description: 'The nonce again.' }),
      events: Type.Array(ReportedUsage, { maxItems: MAX_REPORT_EVENTS, description: 'One that breaks a rule hinders no other.' }),
    },
    open,
  ),
);

const STATUSES = ['duplicate', 'conflict', 'quarantined', 'invalid'] as const satisfies readonly UnbookedEvent['status'][];
const UnbookedStatus = Type.Union(STATUSES.map((status) => Type.Literal(status)));

const ReportReceipt = named(
  'UsageReportReceipt',
  object({
    delivery_id: Type.String(),
    accepted: Type.Integer({ format: 'int64', description: 'Events that were booked now.' }),
    duplicates: Type.Integer({ format: 'int64', description: 'Events that came before under the same id.' }),
    quarantined: Type.Integer({ format: 'int64', description: 'Events that cannot be booked, now or at all.' }),
    events: Type.Array(
      object({
        event_id: orNull(Type.String(), 'Null where the event has no id that could be kept.'),
        status: UnbookedStatus,
        reason: Type.Optional(Type.String({ description: 'Why it was not booked.' })),
        message: Type.Optional(Type.String({ description: 'Which rule it breaks.' })),
      }),
      { description: 'Those that were not booked now, in their order.' },
    ),
  }),
);

const signed = (description: string): Parameter => ({
  description,
  schema: Type.String({ pattern: '^[\\x21-\\x7e]{1,128}$' }),
  required: true,
});

const REPORT_OPERATIONS: Operations = {
  [`POST ${REPORTS_PATH}`]: {
    id: 'reportUsage',
    summary: 'Book what another proxy metered',
    description:
      'Signed over the bytes of the body, of whatever type they are called. The events that can be booked are booked in one transaction, whatever the state of budgets; the others are kept in quarantine.',
    headers: {
      'X-Tinfoil-Reporter-Id': signed('The id of the usage reporter.'),
      'X-Tinfoil-Timestamp': signed('Now, RFC 3339; at most five minutes off.'),
      'X-Tinfoil-Nonce': signed('The id of the delivery. Each is taken once.'),
    },
    body: { schema: UsageReport },
    answers: { 200: { description: 'What became of the events.', schema: ReportReceipt } },
    errors: [409],
  },
};

const codesOf = (form: ErrorForm) =>
  errorCodes((code) => {
    const { status, body } = form({ code, message: '' }, '');
    return { status, code: (body as { readonly code: string }).code };
  });

/** What the document tells about the reports of other proxies. */
export const USAGE_REPORTS_SURFACE: DocumentedSurface = {
  id: 'usage-reports',
  title: 'Usage reports',
  description: 'What other proxies metered with keys of this server, signed by them and booked here.',
  prefixes: ['/api/internal'],
  operations: REPORT_OPERATIONS,
  security: ['reportSignature'],
  errors: { form: TinfoilError, always: [400, 401, 403, 421, 500, 503], codes: codesOf(tinfoilForm) },
};

const SHIM_OPERATIONS: Operations = {
  'POST /api/shim/validate-key': {
    id: 'validateKey',
    summary: 'Tell whether a key may make a call now',
    description:
      'A good key of a tenant that may call, with something left on every account. Nothing is held. No credential is needed beside the key; whoever asks about many bad keys is soon refused.',
    answers: { 200: { description: 'It may.', schema: object({ valid: Type.Literal(true) }) } },
    errors: [401, 402, 429],
  },
  'POST /api/shim/route-context': {
    id: 'getRouteContext',
    summary: 'Tell whose a key is',
    answers: { 200: { description: 'Its tenant.', schema: object({ org_id: Type.String({ description: 'The id of the tenant.' }) }) } },
    errors: [401, 429],
  },
};

/** What the document tells about the questions of other proxies. */
export const SHIM_SURFACE: DocumentedSurface = {
  id: 'key-checks',
  title: 'Key checks',
  description: 'What other proxies ask about a key before they relay a call of it.',
  prefixes: ['/api/shim'],
  operations: SHIM_OPERATIONS,
  security: [],
  errors: { form: TinfoilError, always: [400, 403, 421, 500, 503], codes: codesOf(shimForm) },
};
