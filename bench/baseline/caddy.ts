import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { endChild, freePort, temporaryFolder, untilListening, type Started } from '../support/processes.ts';

const CADDY = '/usr/bin/caddy';

const configuration = (port: number, unitPort: number): string => `
{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
http://127.0.0.1:${port} {
  reverse_proxy 127.0.0.1:${unitPort} {
    transport http {
      keepalive_idle_conns 256
      keepalive_idle_conns_per_host 256
    }
  }
}
`;

/** Starts Caddy in front of a unit, on one processor as nginx with its one worker; null where it is not installed (Debian package caddy). */
export async function startCaddy(unitPort: number): Promise<Started | null> {
  if (!existsSync(CADDY)) return null;
  const folder = temporaryFolder('caddy');
  const port = await freePort();
  const file = path.join(folder, 'Caddyfile');
  writeFileSync(file, configuration(port, unitPort));
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, GOMAXPROCS: '1' };
  const child = spawn(CADDY, ['run', '--config', file, '--adapter', 'caddyfile'], { env, stdio: ['ignore', 'ignore', 'ignore'] });
  process.once('exit', () => child.kill('SIGTERM'));
  await untilListening(port, 'caddy');
  return { pid: child.pid ?? 0, port, stop: () => endChild(child) };
}
