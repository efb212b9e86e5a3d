import type { FastifyInstance, FastifyReply } from 'fastify';

const LIVE_PATHS = ['/health', '/actuator/health', '/actuator/health/liveness'];
/** Where a listener says whether it can work. */
export const READY_PATH = '/actuator/health/readiness';

/**
 * Health for the public clients of the Cycles protocol: no credential, and nothing told but that the process answers, and on the path of
 * readiness whether it can work: 503 while it cannot.
 */
export function registerHealth(app: FastifyInstance, isReady: () => boolean): void {
  const answer = (reply: FastifyReply, isUp: boolean): void => {
    void reply
      .code(isUp ? 200 : 503)
      .header('content-type', 'application/json')
      .send(isUp ? '{"status":"UP"}' : '{"status":"DOWN"}');
  };
  for (const path of LIVE_PATHS) app.get(path, (_request, reply) => answer(reply, true));
  app.get(READY_PATH, (_request, reply) => answer(reply, isReady()));
}
