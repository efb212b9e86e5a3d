/** The empty route: Fastify with a JSON body that is parsed, an answer of a fixed text, and nothing between. No logging, keep-alive. */
import fastify from 'fastify';

const answer = process.argv[2] ?? '{}';
const app = fastify({ logger: false, keepAliveTimeout: 60_000 });
app.post('/v1/reservations', async (_request, reply) => {
  void reply.header('content-type', 'application/json; charset=utf-8');
  return answer;
});
await app.listen({ port: 0, host: '127.0.0.1' });
console.log(JSON.stringify({ port: (app.server.address() as { port: number }).port }));
process.on('SIGTERM', () => process.exit(0));
