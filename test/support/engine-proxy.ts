import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * What becomes of answers: `pass`; `lost`, the request is carried out and the connection cut instead of the answer; `half`, it is cut within the
 * answer; `stall`, nothing comes.
 */
export type ProxyMode = 'pass' | 'lost' | 'half' | 'stall';

/** A socket in front of an engine's. */
export interface EngineProxy {
  readonly docker: string;
  /** From the next request on. The question for the version always passes, so that a fault meets what comes after it. */
  setMode(mode: ProxyMode): void;
  close(): Promise<void>;
}

const HALF_BYTES = 60;

/** Starts a proxy in front of an engine's socket. */
export async function startEngineProxy(engineSocket: string): Promise<EngineProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-proxy-'));
  const path = join(folder, 'proxy.sock');
  const open = new Set<Socket>();
  let wanted: ProxyMode = 'pass';
  const server = createServer((client) => {
    const engine = connect(engineSocket);
    let mode: ProxyMode = 'pass';
    for (const [socket, other] of [
      [client, engine],
      [engine, client],
    ] as const) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
    }
    client.on('data', (piece: Buffer) => {
      const head = piece.subarray(0, 16).toString('latin1');
      if (/^(?:GET|HEAD|POST|PUT|DELETE) \//.test(head)) mode = head.startsWith('GET /version') ? 'pass' : wanted;
      engine.write(piece);
    });
    engine.on('data', (piece: Buffer) => {
      if (mode === 'pass') client.write(piece);
      else if (mode === 'half') client.end(piece.subarray(0, HALF_BYTES));
      else if (mode === 'lost') client.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    docker: `unix://${path}`,
    setMode: (mode) => (wanted = mode),
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      if (existsSync(folder)) rmSync(folder, { recursive: true });
    },
  };
}
