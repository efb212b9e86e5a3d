import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** A process that a bench started. `stop` ends it and waits for it. */
export interface Started {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** The root of the checkout. */
export const ROOT = path.resolve(import.meta.dirname, '../..');

/** A port of the loopback address that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('the probe got no port');
  return address.port;
}

/** A folder that goes when the process ends. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), `castellan-bench-${name}-`));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Ends a child and waits for it. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** Starts a script of the bench that prints `{"port":N}` on its first line. */
export async function startScript(script: string, args: readonly string[] = []): Promise<Started> {
  const child = spawn(process.execPath, [path.join(ROOT, script), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line')) as [string];
  const { port } = JSON.parse(line) as { port: number };
  return { pid: child.pid ?? 0, port, stop: () => endChild(child) };
}

/** Resident memory of a process in MiB. */
export function residentMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    socket.on('connect', () => resolve(socket.destroy() !== undefined));
    socket.on('error', () => resolve(false));
  });

/** Waits until somebody listens on a port of the loopback address; `name` is for the error where nobody does. */
export async function untilListening(port: number, name: string): Promise<void> {
  for (let tries = 0; !(await isListening(port)); tries += 1) {
    if (tries > 200) throw new Error(`${name} did not start to listen within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
