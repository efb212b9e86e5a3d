/**
 * The server as the tests' composition root starts it: as `src/server/main.ts` does, with failpoints that end the process where the
 * environment says, and with the time limits for slow clients that it gives.
 */
import { run } from '../../src/server/run.ts';
import { failpoints } from './kill-at-failpoint.ts';

const failpointsModule = new URL('./kill-at-failpoint.ts', import.meta.url).href;
const slowClientMs = Number(process.env['TEST_SLOW_CLIENT_MS'] ?? 0);
const clientTimeouts = { requestMs: slowClientMs * 2, headersMs: slowClientMs, checkMs: 50, keepAliveMs: 72_000 };
await run({ failpoints, failpointsModule, ...(slowClientMs === 0 ? {} : { clientTimeouts }) });
