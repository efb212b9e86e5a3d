import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFirewall } from './firewall.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-firewall-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const NO_EXCEPTIONS = { allow: [], dns: [] };

/** A machine whose commands are these lines of a script; `$1` is the program. */
const machine = (cases: string): { host: string; via: string[]; commandMs: number; exceptions: typeof NO_EXCEPTIONS } => {
  const script = join(folder, 'machine');
  writeFileSync(script, `cd ${folder}; shift 2; echo "$1" >>called; case $1 in ${cases} esac`);
  return { host: 'h1', via: ['sh', script], commandMs: 2000, exceptions: NO_EXCEPTIONS };
};
const called = (): string[] => (existsSync(join(folder, 'called')) ? readFileSync(join(folder, 'called'), 'utf8').trim().split('\n') : []);

/** What a machine with the two tables does: a restore leaves its rules and its hooks, as a save tells them after. */
const WORKS = ['4', '6']
  .map((version) => {
    const name = version === '4' ? 'iptables' : 'ip6tables';
    return `${name}-save) cat v${version} 2>/dev/null || true ;; ${name}-restore) sed 's/^-I \\([A-Z]*\\) 1 /-A \\1 /' >v${version} ;;`;
  })
  .join(' ');

test('rules are put in place once, and only looked at after that, also when asked for at once', async () => {
  const firewall = makeFirewall(machine(WORKS));
  await Promise.all([firewall.ensure(), firewall.ensure()]);
  const both = ['iptables-save', 'iptables-restore', 'iptables-save', 'ip6tables-save', 'ip6tables-restore', 'ip6tables-save'];
  expect(called()).toEqual([...both, 'iptables-save', 'ip6tables-save']);
  writeFileSync(join(folder, 'v4'), '');
  await firewall.ensure();
  expect(called().slice(8)).toEqual(['iptables-save', 'iptables-restore', 'iptables-save', 'ip6tables-save']);
});

test('a command that fails is a fault that names it in the log, and not to callers', async () => {
  const firewall = makeFirewall(machine('*) echo "no right to do this" >&2; exit 4 ;;'));
  const fault = await firewall.ensure().catch((error: unknown) => error);
  expect(fault).toMatchObject({
    kind: 'firewall',
    publicMessage: 'The host cannot keep the traffic of containers in, so it runs none that may reach the network.',
  });
  expect(String(fault)).toMatch(/^Fault: h1: the firewall: .*iptables-save -t filter ended with status 4: no right to do this$/);
});

test('a program that is not there, or does not end, is a fault too', async () => {
  await expect(makeFirewall({ ...machine(''), via: ['/no/such/program'] }).ensure()).rejects.toMatchObject({ kind: 'firewall' });
  await expect(makeFirewall({ ...machine('*) exec sleep 60 ;;'), commandMs: 50 }).ensure()).rejects.toMatchObject({ kind: 'firewall' });
});

test('a machine without IPv6 needs no rules for it, and one with it does', async () => {
  const [v4 = ''] = WORKS.split(' ip6tables-save');
  await makeFirewall(machine(`${v4} test) exit 1 ;; *) exit 3 ;;`)).ensure();
  expect(called()).toEqual(['iptables-save', 'iptables-restore', 'iptables-save', 'ip6tables-save', 'test']);
  await expect(makeFirewall(machine(`${v4} test) exit 0 ;; *) exit 3 ;;`)).ensure()).rejects.toMatchObject({ kind: 'firewall' });
});
