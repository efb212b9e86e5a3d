import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHmac } from 'node:crypto';

/**
 * What goes wrong with one request: `status` is answered before anything is done (`lost`: after it was done, so that the caller cannot know); a
 * `hang` answers nothing, a `cut` ends the connection, both after it was done.
 */
export type StripeFault = { readonly status: number; readonly lost?: true } | 'hang' | 'cut';

/** A meter event that counted. */
export interface MeterEvent {
  readonly identifier: string;
  readonly event_name: string;
  readonly timestamp: number;
  readonly customer: string;
  readonly value: bigint;
}

/** A server on loopback that answers in Stripe's form, as far as the program asks. */
export interface StripeServer {
  readonly url: string;
  readonly apiKey: string;
  readonly customers: { readonly id: string; readonly name: string; readonly metadata: Readonly<Record<string, string>> }[];
  readonly meterEvents: MeterEvent[];
  /** Every request so far, such as `POST /v1/customers`. */
  readonly asked: string[];
  /** What `GET /v1/invoices` and `GET /v1/charges` list, by customer. */
  invoices: Record<string, readonly object[]>;
  charges: Record<string, readonly object[]>;
  /** Lets the next requests to a path go wrong, one each. */
  fail(path: string, ...faults: readonly StripeFault[]): void;
  close(): Promise<void>;
}

const KEY = 'sk_test_0123456789abcdef';

type Answer = readonly [status: number, body: object];

const refusal = (status: number, type: string, message: string, code?: string): Answer => [
  status,
  { error: { type, message, ...(code === undefined ? {} : { code }) } },
];

const list = (url: string, data: readonly object[]): object => ({ object: 'list', url, has_more: false, data });

/** Starts the server. Stripe's own bodies have many more fields; these are the ones of its documents that matter here. */
export async function startStripeServer(): Promise<StripeServer> {
  const faults = new Map<string, StripeFault[]>();
  const byIdempotencyKey = new Map<string, Answer>();
  const hanging = new Set<ServerResponse>();
  const state = {
    apiKey: KEY,
    customers: [] as StripeServer['customers'],
    meterEvents: [] as MeterEvent[],
    asked: [] as string[],
    invoices: {} as Record<string, readonly object[]>,
    charges: {} as Record<string, readonly object[]>,
  };

  function answer(method: string, url: URL, form: URLSearchParams): Answer {
    const customer = url.searchParams.get('customer') ?? '';
    switch (`${method} ${url.pathname}`) {
      case 'GET /v1/customers/search': {
        const wanted = /^metadata\['castellan_tenant_id'\]:'([^']*)'$/.exec(url.searchParams.get('query') ?? '')?.[1];
        const data = state.customers.filter(({ metadata }) => metadata['castellan_tenant_id'] === wanted);
        return [200, { object: 'search_result', url: url.pathname, has_more: false, data }];
      }
      case 'POST /v1/customers': {
        const tenantId = form.get('metadata[castellan_tenant_id]') ?? '';
        const made = { id: `cus_${state.customers.length + 1}`, name: form.get('name') ?? '', metadata: { castellan_tenant_id: tenantId } };
        state.customers.push(made);
        return [200, { object: 'customer', ...made }];
      }
      case 'GET /v1/invoices':
      case 'GET /v1/charges': {
        const found = (url.pathname === '/v1/invoices' ? state.invoices : state.charges)[customer];
        if (found === undefined) return refusal(404, 'invalid_request_error', `No such customer: '${customer}'`, 'resource_missing');
        return [200, list(url.pathname, found)];
      }
      case 'POST /v1/billing/meter_events':
        return takeMeterEvent(form);
      default:
        return refusal(404, 'invalid_request_error', `Unrecognized request URL (${method}: ${url.pathname}).`);
    }
  }

  function takeMeterEvent(form: URLSearchParams): Answer {
    const identifier = form.get('identifier') ?? '';
    const event: MeterEvent = {
      identifier,
      event_name: form.get('event_name') ?? '',
      timestamp: Number(form.get('timestamp')),
      customer: form.get('payload[stripe_customer_id]') ?? '',
      value: BigInt(form.get('payload[value]') ?? '-1'),
    };
    if (state.meterEvents.some((known) => known.identifier === identifier))
      return refusal(400, 'invalid_request_error', `An event already exists with identifier ${identifier}.`);
    if (!state.customers.some(({ id }) => id === event.customer)) return refusal(400, 'invalid_request_error', 'No such customer.');
    state.meterEvents.push(event);
    return [200, { object: 'billing.meter_event', ...event, value: undefined, customer: undefined }];
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? '/', 'http://stripe.invalid');
    const method = request.method ?? 'GET';
    state.asked.push(`${method} ${url.pathname}`);
    const send = ([status, body]: Answer): void =>
      void response.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_1' }).end(JSON.stringify(body));
    if (request.headers.authorization !== `Bearer ${KEY}`) return send(refusal(401, 'invalid_request_error', 'Invalid API Key provided'));
    const fault = faults.get(url.pathname)?.shift();
    if (typeof fault === 'object' && fault.lost !== true) return send(refusal(fault.status, 'api_error', 'something is wrong'));
    const key = request.headers['idempotency-key'];
    const known = typeof key === 'string' ? byIdempotencyKey.get(key) : undefined;
    const done = known ?? answer(method, url, new URLSearchParams(Buffer.concat(chunks).toString()));
    if (typeof key === 'string') byIdempotencyKey.set(key, done);
    if (fault === 'hang') return void hanging.add(response);
    if (fault === 'cut') return void response.destroy();
    if (typeof fault === 'object') return send(refusal(fault.status, 'api_error', 'something is wrong'));
    return send(done);
  }

  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    url: `http://127.0.0.1:${port}`,
    fail: (path: string, ...added: readonly StripeFault[]) => void faults.set(path, [...(faults.get(path) ?? []), ...added]),
    close: () => {
      for (const response of hanging) response.destroy();
      server.closeAllConnections();
      return new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  });
}

/** The header by which Stripe signs a body, from its description and without any code of ours or theirs. */
export function stripeSignature(body: string, secret: string, atMs: number): string {
  const seconds = Math.floor(atMs / 1000);
  const mac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${mac}`;
}
