import { describe, expect, test } from 'vitest';
import type { UnitSpec } from '../../ports/container-engine.ts';
import { unitBody, withAddress } from './unit-body.ts';

const MIB = 1024 * 1024;
const HOST = { address: 'engine.example', dns: ['9.9.9.9'], logBytes: 3000 };
const SPEC: UnitSpec = {
  name: 'castellan-d1-web',
  unit: 'web',
  owner: { installation: 'i1', tenant: 't1', container: 'c1', deployment: 'd1' },
  image: { host: 'ghcr.io', repository: 'acme/web', digest: `sha256:${'a'.repeat(64)}`, kind: 'ghcr' },
  command: null,
  entrypoint: null,
  workingDir: null,
  user: null,
  env: [],
  mounts: [],
  networks: [],
  shimPort: null,
  ports: [],
  gpus: null,
  allottedGpus: [],
  ipc: null,
  capAdd: [],
  shmBytes: null,
  memoryBytes: null,
  cpus: null,
  tmpfs: [],
  readOnly: true,
  pidsLimit: 100,
  restart: { name: 'no', maximumRetries: 0 },
  stopSignal: null,
  stopTimeoutS: null,
  healthcheck: null,
};
const hostOf = (given: Partial<UnitSpec>): Record<string, unknown> => ({ ...unitBody({ ...SPEC, ...given }, HOST).body.HostConfig });

describe('what is asked of an engine', () => {
  test.each([
    [[], undefined],
    [['0', '3'], [{ Driver: 'nvidia', Capabilities: [['gpu']], DeviceIDs: ['0', '3'] }]],
    [null, undefined],
  ] as const)('GPUs: %j', (gpus, requests) => {
    expect(hostOf({ gpus })['DeviceRequests']).toEqual(requests);
  });

  test('ports on the address of the host, the shim on one that the engine chooses', () => {
    const { body } = unitBody({ ...SPEC, shimPort: 80, ports: [{ hostPort: 9000, containerPort: 90 }] }, HOST);
    expect(withAddress(body, '10.0.0.5').HostConfig?.PortBindings).toEqual({
      '80/tcp': [{ HostIp: '10.0.0.5', HostPort: '' }],
      '90/tcp': [{ HostIp: '10.0.0.5', HostPort: '9000' }],
    });
    expect(body.ExposedPorts).toEqual({ '80/tcp': {}, '90/tcp': {} });
  });

  test('a way to names only for who has a way out', () => {
    const closed = [{ name: 'n1', role: 'closed' } as const, { name: 's', role: 'shim' } as const];
    expect(hostOf({ networks: closed })['Dns']).toEqual(['192.0.2.1']);
    expect(hostOf({ networks: [{ name: 'n0', role: 'open' }, ...closed] })['Dns']).toEqual(['9.9.9.9']);
    expect(hostOf({})['NetworkMode']).toBe('none');
    expect(hostOf({ networks: closed })['NetworkMode']).toBe('n1');
  });

  test('no memory limit where none is given, and shared memory and passing files of 64 MiB then', () => {
    const host = hostOf({ tmpfs: [{ path: '/t', options: 'mode=700' }] });
    expect([host['Memory'], host['MemorySwap'], host['NanoCpus']]).toEqual([undefined, undefined, undefined]);
    expect([host['ShmSize'], host['Tmpfs']]).toEqual([64 * MIB, { '/t': `mode=700,size=${64 * MIB}` }]);
    const bounded = hostOf({ memoryBytes: 10 * MIB, cpus: 1.25 });
    expect([bounded['Memory'], bounded['MemorySwap'], bounded['NanoCpus'], bounded['ShmSize']]).toEqual([
      10 * MIB,
      10 * MIB,
      1_250_000_000,
      5 * MIB,
    ]);
  });

  test.each([
    [{ name: 'no', maximumRetries: 3 }, { Name: '' }],
    [
      { name: 'on-failure', maximumRetries: 3 },
      { Name: 'on-failure', MaximumRetryCount: 3 },
    ],
    [{ name: 'unless-stopped', maximumRetries: 3 }, { Name: 'unless-stopped' }],
  ] as const)('a restart rule: %j', (restart, policy) => {
    expect(hostOf({ restart })['RestartPolicy']).toEqual(policy);
  });

  test('a health check in nanoseconds, and the image’s own where none is given', () => {
    const check = { test: ['CMD', 'x'], intervalMs: 1500, timeoutMs: null, retries: 4, startPeriodMs: 10 };
    expect(unitBody({ ...SPEC, healthcheck: check }, HOST).body.Healthcheck).toEqual({
      Test: ['CMD', 'x'],
      Interval: 1_500_000_000,
      Timeout: 0,
      Retries: 4,
      StartPeriod: 10_000_000,
    });
    expect(unitBody(SPEC, HOST).body).not.toHaveProperty('Healthcheck');
  });
});

test('the hash is of the specification: the same for the same, another for every change, and it tells no value', () => {
  const hash = (given: Partial<UnitSpec>): string => unitBody({ ...SPEC, ...given }, HOST).specHash;
  expect(hash({})).toBe(hash({}));
  const changes: Partial<UnitSpec>[] = [
    {},
    { name: 'castellan-d2-web' },
    { env: [{ name: 'SECRET', value: 'v1' }] },
    { env: [{ name: 'SECRET', value: 'v2' }] },
    { networks: [{ name: 'n', role: 'closed' }] },
    { mounts: [{ volume: 'v', path: '/v', ownerId: null }] },
    { mounts: [{ volume: 'v', path: '/v', ownerId: 1 }] },
    { shimPort: 80 },
    { readOnly: false },
  ];
  expect(new Set(changes.map(hash)).size).toBe(changes.length);
  expect(JSON.stringify(unitBody({ ...SPEC, env: [{ name: 'SECRET', value: 'v1' }] }, HOST).body.Labels)).not.toContain('v1');
});
