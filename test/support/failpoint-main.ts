/**
 * The server as the tests' composition root starts it: as `src/server/main.ts` does, with failpoints that end the process where the
 * environment says, and with the time limits for slow clients that it gives.
 */
import { boot } from '../../src/server/boot.ts';
import { readConfig } from '../../src/server/config.ts';
import { welcome } from '../../src/server/welcome.ts';
import { failpoints } from './kill-at-failpoint.ts';

const config = await readConfig();
const failpointsModule = new URL('./kill-at-failpoint.ts', import.meta.url).href;
const slowClientMs = Number(process.env['TEST_SLOW_CLIENT_MS'] ?? 0);
const clientTimeouts = { requestMs: slowClientMs * 2, headersMs: slowClientMs, checkMs: 50, keepAliveMs: 72_000 };
const running = await boot(config, { failpoints, failpointsModule, ...(slowClientMs === 0 ? {} : { clientTimeouts }) });
process.once('SIGTERM', () => {
  void running.stop().then(() => process.exit(0));
});
process.stdout.write(welcome(running, config.dataDir));
