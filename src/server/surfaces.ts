import Type from 'typebox';
import { named, object, type DocumentedSurface } from '../api/_shared/openapi/operation.ts';
import { surfaceAt } from '../api/_shared/openapi/document.ts';
import { MESSAGES_SURFACE } from '../api/anthropic-gateway/operations.ts';
import { BILLS_SURFACE } from '../api/bills/surface.ts';
import { GOVERNANCE_SURFACE } from '../api/cycles-governance/documented-surface.ts';
import { MANAGEMENT_SURFACE } from '../api/cortecs-management/operations.ts';
import { paymentsSurface } from '../api/payments/surface.ts';
import { sealedCallsSurface } from '../api/sealed-calls/surface.ts';
import { releaseHooksSurface } from '../api/release-hooks/surface.ts';
import { GATEWAY_SURFACE, OpenAiError } from '../api/openai-gateway/operations.ts';
import { CyclesError, OPERATOR_SURFACE } from '../api/operator/operations.ts';
import { SHIM_SURFACE, USAGE_REPORTS_SURFACE } from '../api/tinfoil-admin/machine-operations.ts';
import { TINFOIL_SURFACE } from '../api/tinfoil-admin/operations.ts';
import { SHARED_RUNTIME_SURFACE } from './shared-operations.ts';

const Health = named('Health', object({ status: Type.Union([Type.Literal('UP'), Type.Literal('DOWN')]) }));

const live = (id: string) => ({
  id,
  summary: 'Tell whether the process answers',
  answers: { 200: { description: 'It does.', schema: Health } },
});

/** Health, for load balancers and the public clients. */
const HEALTH_SURFACE: DocumentedSurface = {
  id: 'health',
  title: 'Health',
  description: 'Whether the process answers, and whether it can work.',
  prefixes: ['/health', '/actuator'],
  operations: {
    'GET /health': live('getHealth'),
    'GET /actuator/health': live('getActuatorHealth'),
    'GET /actuator/health/liveness': live('getLiveness'),
    'GET /actuator/health/readiness': {
      id: 'getReadiness',
      summary: 'Tell whether the process can work',
      answers: {
        200: { description: 'It can.', schema: Health },
        503: { description: 'Its database is out of reach.', schema: Health },
      },
    },
  },
  security: [],
  errors: null,
};

const Asked = named('AskedName', object({ served: Type.Boolean() }));
const Refused = named('RefusedAsk', object({ error: Type.String() }));

/** What a proxy with TLS before the ingress asks. */
const TLS_SURFACE: DocumentedSurface = {
  id: 'tls',
  title: 'Certificates',
  description: 'For a proxy that makes certificates on demand. Answered on this machine, and to the proxies that are declared.',
  prefixes: ['/internal'],
  operations: {
    'GET /internal/ask': {
      id: 'askName',
      summary: 'Tell whether a name is a container’s',
      description: 'Answered from memory: generated names of containers, and verified domains that they use.',
      query: { domain: { description: 'The name, as a client asks for it in its TLS handshake.', schema: Type.String(), required: true } },
      answers: {
        200: { description: 'It is.', schema: Asked },
        400: { description: 'It asks for no name, or for several.', schema: Refused },
        403: { description: 'Asked from elsewhere.', schema: Refused },
        404: { description: 'It is not: no certificate is to be made.', schema: Asked },
      },
    },
  },
  security: [],
  errors: null,
};

/** What is told about the program itself. */
const SYSTEM_SURFACE: DocumentedSurface = {
  id: 'system',
  title: 'Metrics and documentation',
  description: 'What runs here, for scrapers and readers.',
  prefixes: ['/metrics', '/openapi.json', '/docs'],
  operations: {
    'GET /metrics': {
      id: 'getMetrics',
      summary: 'Show the metrics of this process',
      description: "In Prometheus's text format. No credential is needed where the configuration file says `metrics: { open: true }`.",
      answers: { 200: { description: 'The metrics.', schema: Type.String(), mediaType: 'text/plain' } },
      errors: [400, 401, 500],
      security: ['operatorKey', 'metricsToken'],
    },
    'GET /openapi.json': {
      id: 'getOpenApi',
      summary: 'Show this document',
      answers: { 200: { description: 'An OpenAPI 3.1 document.', schema: Type.Object({}, { additionalProperties: true }) } },
    },
    'GET /docs': {
      id: 'getDocumentation',
      summary: 'Show this document as pages',
      answers: { 200: { description: 'The first page.', schema: Type.String(), mediaType: 'text/html' } },
    },
    'GET /docs/:page': {
      id: 'getDocumentationPage',
      summary: 'Show one page of the documentation',
      path: { page: 'The id of a surface, or a file that the pages use.' },
      answers: { 200: { description: 'The page.', schema: Type.String(), mediaType: 'text/html' } },
      errors: [404],
    },
  },
  security: [],
  errors: { form: CyclesError, always: [421], codes: [] },
};

/** Every surface of the program, as documents, metrics and traces name it. A new surface, or a new prefix of one, is added here. */
export const SURFACES: readonly DocumentedSurface[] = [
  GATEWAY_SURFACE,
  MESSAGES_SURFACE,
  TINFOIL_SURFACE,
  USAGE_REPORTS_SURFACE,
  SHIM_SURFACE,
  MANAGEMENT_SURFACE,
  SHARED_RUNTIME_SURFACE,
  GOVERNANCE_SURFACE,
  OPERATOR_SURFACE,
  BILLS_SURFACE,
  paymentsSurface(CyclesError),
  sealedCallsSurface(OpenAiError),
  releaseHooksSurface(CyclesError),
  HEALTH_SURFACE,
  TLS_SURFACE,
  SYSTEM_SURFACE,
];

/** The id of the surface that a route's pattern belongs to. */
export const surfaceOf = (url: string): string => surfaceAt(SURFACES, url)?.id ?? 'none';

/** Whether a surface, by its id, is one of the gateway's: those that call models. */
export const isGateway = (id: string): boolean => id === GATEWAY_SURFACE.id || id === MESSAGES_SURFACE.id;
