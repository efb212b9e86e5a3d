import { request } from 'node:http';
import type { Endpoint } from '../core/containers/container-records.ts';

/** A unit that takes longer to answer one request is asked again. */
const PROBE_TIMEOUT_MS = 2000;

/** Whether anything answers HTTP at an endpoint: any status counts, for only the unit knows which paths it has. */
export function probeEndpoint({ address, port }: Endpoint, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host: address, port, path: '/', method: 'GET', agent: false, timeout: PROBE_TIMEOUT_MS, signal }, (answer) => {
      answer.destroy();
      resolve(true);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });
}
