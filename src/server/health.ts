import type { FastifyInstance } from 'fastify';

const PATHS = ['/health', '/actuator/health', '/actuator/health/liveness', '/actuator/health/readiness'];
const BODY = '{"status":"UP"}';

/** Health for the public clients of the Cycles protocol: no credential, and nothing told but that the process answers. */
export function registerHealth(app: FastifyInstance): void {
  for (const path of PATHS) {
    app.get(path, (_request, reply) => {
      void reply.header('content-type', 'application/json').send(BODY);
    });
  }
}
