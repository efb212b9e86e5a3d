/** The bare relay: node:http in front, an undici pool behind, bytes passed on as they come. No logging, keep-alive on both sides. */
import http from 'node:http';
import { Pool } from 'undici';

const upstreamPort = Number(process.argv[2]);
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 256, pipelining: 1, keepAliveTimeout: 60_000 });

const server = http.createServer({ keepAliveTimeout: 60_000 }, (req, res) => {
  const parts: Buffer[] = [];
  req.on('data', (part: Buffer) => parts.push(part));
  req.on('end', () => {
    const body = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    const headers = { 'content-type': 'application/json', authorization: 'Bearer upstream-key' };
    pool.stream(
      { path: req.url ?? '/', method: 'POST', headers, body: body ?? null },
      ({ statusCode, headers: answered }) => {
        const passed: http.OutgoingHttpHeaders = {};
        for (const name of ['content-type', 'content-length']) if (answered[name] !== undefined) passed[name] = answered[name];
        res.writeHead(statusCode, passed);
        return res;
      },
      (error) => {
        if (error !== null) res.destroy();
      },
    );
  });
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: (server.address() as { port: number }).port })));
process.on('SIGTERM', () => process.exit(0));
