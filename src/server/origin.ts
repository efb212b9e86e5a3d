import { isIP } from 'node:net';
import { isWildcard } from './config.ts';

/** The address for clients on this machine. One that listens on everything is reached through loopback. */
export function originOf(host: string, port: number, protocol: 'http' | 'ssh' = 'http'): string {
  const reachable = !isWildcard(host) ? host : host === '::' ? '::1' : '127.0.0.1';
  return `${protocol}://${isIP(reachable) === 6 ? `[${reachable}]` : reachable}:${port}`;
}
