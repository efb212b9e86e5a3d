import { credentialsPath } from './credentials.ts';
import { demoCurl } from './demo-call.ts';
import type { Running } from './boot.ts';

/** What a start prints for people: where it listens, what is worth knowing, and, until it was made once, the demo call. */
export function welcome(running: Running, dataDir: string): string {
  const { listeners, prepared } = running;
  const lines = [
    '',
    'Castellan is up.',
    `  data plane     ${listeners.runtime.origin}   (OpenAI-compatible: base URL ${listeners.runtime.origin}/v1)`,
    `  control plane  ${listeners.admin.origin}   (keys, usage, operator API)`,
    ...(listeners.ingress === null ? [] : [`  ingress        ${listeners.ingress.origin}   (containers, by their host names)`]),
    ...(listeners.ssh === null
      ? []
      : [`  ssh            ${listeners.ssh.origin}   (debug containers; host key ${listeners.ssh.hostKey.fingerprint})`]),
    `  credentials    ${credentialsPath(dataDir)}`,
  ];
  for (const notice of prepared.notices) lines.push(`  note           ${notice}`);
  const { demo_key: demoKey } = prepared.credentials;
  if (prepared.isDemoUnused && demoKey !== undefined) {
    const call = demoCurl(listeners.runtime.origin, demoKey);
    lines.push(
      '',
      'Make the first metered call:',
      '',
      call,
      '',
      'The budget of that key pays it once. The same call once more is refused, because the money is used up:',
      '',
      call,
    );
  }
  return `${lines.join('\n')}\n`;
}
