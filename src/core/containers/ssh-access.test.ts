import { describe, expect, test } from 'vitest';
import type { Tenant } from '../records.ts';
import type { Container, Deployment } from './container-records.ts';
import { readShellAddress, refuseShell, shellDeployment, shellKeyNames, type ShellGrant } from './ssh-access.ts';
import type { SshKey } from './ssh-key-records.ts';

const ID = '550e8400-e29b-41d4-a716-446655440000';

describe('user names', () => {
  test.each([
    ['web.acme', { container: { name: 'web', tenantId: 'acme' }, unit: null }],
    ['my-app-2.acme-corp+side_car', { container: { name: 'my-app-2', tenantId: 'acme-corp' }, unit: 'side_car' }],
    [ID, { container: { id: ID }, unit: null }],
    [`${ID}+db`, { container: { id: ID }, unit: 'db' }],
    [`${'a'.repeat(64)}.${'b'.repeat(64)}`, { container: { name: 'a'.repeat(64), tenantId: 'b'.repeat(64) }, unit: null }],
  ])('%s leads somewhere', (user, address) => expect(readShellAddress(user)).toEqual(address));

  test.each([
    '',
    'root',
    'web.',
    '.acme',
    'web.acme.more',
    'Web.acme',
    'web.acme+',
    'web.acme+a b',
    'web.acme+a+b',
    'web.acme+../x',
    '-web.acme',
    'web.acme\u0000',
    ID.toUpperCase(),
    `${'a'.repeat(65)}.acme`,
    'x'.repeat(300),
  ])('%j leads nowhere', (user) => expect(readShellAddress(user)).toBeNull());
});

const deployment = (changes: Partial<Deployment> = {}): Deployment =>
  ({ id: 'd1', state: 'serving', debug: true, sshKeys: ['ann', 'bob'], config: { units: [{ name: 'web' }] }, ...changes }) as Deployment;
const container = (changes: Partial<Container> = {}): Container =>
  ({ id: ID, tenantId: 'acme', name: 'web', current: deployment(), update: null, deletedAtMs: null, ...changes }) as Container;

describe('the deployment that shells are opened in', () => {
  test.each(['started', 'ready', 'serving'] as const)('runs: %s', (state) => {
    expect(shellDeployment(container({ current: deployment({ state }) }))?.id).toBe('d1');
  });

  test.each(['pending', 'draining', 'stopped', 'failed'] as const)('is none that does not: %s', (state) => {
    expect(shellDeployment(container({ current: deployment({ state }) }))).toBeNull();
  });

  test('is an update that runs where nothing else does', () => {
    const update = deployment({ id: 'd2', state: 'started' });
    expect(shellDeployment(container({ update }))?.id).toBe('d1');
    expect(shellDeployment(container({ current: deployment({ state: 'failed' }), update }))?.id).toBe('d2');
  });
});

describe('the keys that open a container', () => {
  test('are those that it names, in debug mode, while it is there', () => {
    expect(shellKeyNames(container())).toEqual(['ann', 'bob']);
    expect(shellKeyNames(container({ current: deployment({ debug: false }) }))).toEqual([]);
    expect(shellKeyNames(container({ current: deployment({ state: 'stopped' }) }))).toEqual([]);
    expect(shellKeyNames(container({ deletedAtMs: 1 }))).toEqual([]);
  });

  test('an update takes those that it leaves out at once, and gives others only when it serves', () => {
    const update = (changes: Partial<Deployment>): Container =>
      container({ update: deployment({ id: 'd2', state: 'pending', ...changes }) });
    expect(shellKeyNames(update({ sshKeys: ['bob', 'eve'] }))).toEqual(['bob']);
    expect(shellKeyNames(update({ debug: false, sshKeys: [] }))).toEqual([]);
    expect(shellKeyNames(update({ state: 'failed', sshKeys: [] }))).toEqual(['ann', 'bob']);
  });
});

describe('a grant', () => {
  const grant: ShellGrant = { tenantId: 'acme', containerId: ID, deploymentId: 'd1', unit: 'web', keyName: 'ann', sshKeyId: 'k1' };
  const tenant = { id: 'acme', status: 'ACTIVE' } as Tenant;
  const key = { tenantId: 'acme', sshKeyId: 'k1' } as SshKey;
  const records = { tenant, container: container(), key };

  test('holds while everything is as it was', () => expect(refuseShell(grant, records)).toBeNull());

  test.each([
    ['tenant', { tenant: undefined }],
    ['tenant', { tenant: { ...tenant, status: 'SUSPENDED' as const } }],
    ['tenant', { tenant: { ...tenant, status: 'CLOSED' as const } }],
    ['tenant', { tenant: { ...tenant, id: 'other' } }],
    ['container', { container: undefined }],
    ['container', { container: container({ tenantId: 'other' }) }],
    ['container', { container: container({ id: 'other' }) }],
    ['container', { container: container({ deletedAtMs: 1 }) }],
    ['container', { container: container({ current: deployment({ id: 'd2' }) }) }],
    ['container', { container: container({ current: deployment({ state: 'draining' }) }) }],
    ['container', { container: container({ current: deployment({ debug: false }) }) }],
    ['container', { container: container({ current: deployment({ config: { units: [] } as never }) }) }],
    ['key', { container: container({ current: deployment({ sshKeys: ['bob'] }) }) }],
    ['key', { container: container({ update: deployment({ id: 'd2', state: 'pending', sshKeys: [] }) }) }],
    ['key', { key: undefined }],
    ['key', { key: { ...key, sshKeyId: 'k2' } }],
    ['key', { key: { ...key, tenantId: 'other' } }],
  ])('does not against its %s: %#', (refusal, changes) => expect(refuseShell(grant, { ...records, ...changes })).toBe(refusal));
});
