import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { endChild, freePort, temporaryFolder, untilListening, type Started } from '../support/processes.ts';

const NGINX = '/usr/sbin/nginx';

const configuration = (folder: string, port: number, upstreamPort: number): string => `
daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log crit;
events { worker_connections 2048; }
http {
  access_log off; keepalive_timeout 60s; keepalive_requests 100000000;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  upstream model { server 127.0.0.1:${upstreamPort}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}`;

/** Starts nginx as a relay to the model server; null where it is not installed (Debian package nginx-light). */
export async function startNginx(upstreamPort: number): Promise<Started | null> {
  if (!existsSync(NGINX)) return null;
  const folder = temporaryFolder('nginx');
  const port = await freePort();
  const file = path.join(folder, 'nginx.conf');
  writeFileSync(file, configuration(folder, port, upstreamPort));
  const child = spawn(NGINX, ['-p', folder, '-c', file], { stdio: ['ignore', 'ignore', 'ignore'] });
  process.once('exit', () => child.kill('SIGTERM'));
  await untilListening(port, 'nginx');
  return { pid: child.pid ?? 0, port, stop: () => endChild(child) };
}
