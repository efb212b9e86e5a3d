/** The ingress of this checkout by itself, in front of one unit: its own process, as the others of the row have. Takes the unit's port. */
import type { AddressInfo } from 'node:net';
import { accepted } from '../../src/core/rejection.ts';
import { makeAdmit } from '../../src/ingress/admit.ts';
import { makeInFlight } from '../../src/ingress/in-flight.ts';
import { INGRESS_TIMEOUTS, makeIngress } from '../../src/ingress/ingress.ts';
import { makeSenderOf } from '../../src/ingress/headers.ts';
import { makeProxy } from '../../src/ingress/proxy.ts';
import type { IngressTarget } from '../../src/ports/ingress-routes.ts';

const shim = {
  upstreamUnit: 'web',
  upstreamPort: 80,
  paths: [],
  origins: null,
  authenticated: false,
  authenticatedEndpoints: null,
  rateLimit: null,
  rateBurst: null,
};
const target: IngressTarget = {
  deploymentId: 'dep_bench',
  address: '127.0.0.1',
  port: Number(process.argv[2]),
  tenantId: 'bench',
  containerId: 'bench',
  shim,
  fallback: null,
};
const quiet = (): void => undefined;
const inFlight = makeInFlight();
const senderOf = makeSenderOf(() => false);
const server = makeIngress({
  routes: { find: () => target },
  admit: makeAdmit({ checkKey: async () => accepted({ keyId: 'k' }), nowMs: () => performance.now() }),
  proxy: makeProxy({ inFlight, senderOf }),
  inFlight,
  senderOf,
  timeouts: INGRESS_TIMEOUTS,
  onAnswered: quiet,
  log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: (server.address() as AddressInfo).port })));
process.on('SIGTERM', () => process.exit(0));
