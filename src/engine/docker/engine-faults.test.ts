import { expect, test } from 'vitest';
import { answerFault, tellStartFailure } from './engine-faults.ts';

test.each([
  ['', ''],
  [
    'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/app/x": stat /app/x: no such file or directory: unknown',
    'its command /app/x cannot be run: no such file or directory',
  ],
  ['... exec: "sh": executable file not found in $PATH: unknown', 'its command sh cannot be run: executable file not found'],
  ['... exec: "/etc/passwd": permission denied: unknown', 'its command /etc/passwd cannot be run: permission denied'],
  [
    'driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated',
    'a host port that it wants is taken',
  ],
  ['could not select device driver "nvidia" with capabilities: [[gpu]]', 'the host has no GPUs for containers'],
  ['unable to find user web: no matching entries in passwd file', 'its image has no user or group web'],
  ['open /var/lib/docker/secret: something else', 'the host could not start it'],
])('%s is told as: %s', (said, told) => {
  expect(tellStartFailure(said)).toBe(told);
});

test('a refusal says in public what its owner can do about, and no folder of the host', () => {
  const fault = (said: string): string => answerFault('h: making', { status: 500, headers: {}, json: undefined, said }).publicMessage;
  expect(fault('could not find an available, non-overlapping IPv4 address pool among the defaults')).toBe(
    'The host has no addresses left for another network.',
  );
  expect(fault('open /var/lib/docker/x: permission denied')).toBe('The host refused what was asked of it.');
});
