import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImageRef } from '../../src/core/containers/images.ts';
import type { ContainerEngine, NetworkSpec, UnitSpec } from '../../src/ports/container-engine.ts';
import { startSecondEngine, type OwnEngine } from '../support/docker-engine.ts';
import { startDockerRegistry, type TestRegistry } from '../support/docker-registry.ts';
import { startTied, type TiedProcess } from '../support/tied-process.ts';
import { adapterOf, clear, imageOf, networkOf, ownerOf, runUnit, unitOf, until } from './stage.ts';

/** Stand for a server of the internet, and for one of a private network that the operator allows; both are the test's side of the pair. */
const WORLD = '44.128.7.1';
const ALLOWED = '10.199.7.1';
const LINK_LOCAL = '169.254.169.254';
/** A server on the engine's own machine. */
const HOST_PORT = 7777;

let docker: OwnEngine;
let registry: TestRegistry;
let engine: ContainerEngine;
let image: ImageRef;
let hostServer: TiedProcess;
let server: Server;
let port = 0;
const owner = ownerOf('e');

beforeAll(async () => {
  docker = await startSecondEngine();
  docker.giveAddresses([WORLD, ALLOWED, LINK_LOCAL]);
  registry = await startDockerRegistry({ address: docker.testAddress });
  server = createServer((asked, answer) => answer.end(`from ${asked.socket.remoteAddress}`));
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  ({ port } = server.address() as AddressInfo);
  hostServer = startTied([...docker.via, 'busybox', 'httpd', '-f', '-p', `0.0.0.0:${HOST_PORT}`, '-h', '/proc/sys/kernel']);
  engine = withExceptions([`${ALLOWED}/32`]);
  image = imageOf(await registry.push({ name: 'acme/tools', command: ['sleep', '60'] }));
  await engine.pull({ image, auth: null, signal: new AbortController().signal });
});
afterAll(async () => {
  await clear(engine, owner);
  await engine.close();
  await hostServer.stop();
  server.close();
  await registry.stop();
  await docker.stop();
});

const withExceptions = (allow: readonly string[]): ContainerEngine =>
  adapterOf(docker, { firewall: { mode: 'strict', via: docker.via, exceptions: { allow, dns: [] } } });

/** What a program in a unit is answered by each address: `reached`, or `refused`. */
async function reach(spec: Partial<UnitSpec>, targets: readonly string[]): Promise<Record<string, string>> {
  // Not busybox's wget, which needs more of an image than one static program.
  const tries = targets.map((target) => {
    const asks = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 ${target.replace(':', ' ')} 2>/dev/null | grep -q HTTP`;
    return `(${asks} && echo "${target} reached" || echo "${target} refused") &`;
  });
  const { text } = await runUnit(engine, unitOf(owner, image, { ...spec, entrypoint: ['sh', '-c'], command: [`${tries.join(' ')} wait`] }));
  return Object.fromEntries(text.split('\n').map((line) => line.split(' ') as [string, string]));
}

async function ensure(nets: readonly NetworkSpec[]): Promise<void> {
  for (const net of nets) await engine.ensureNetwork(net);
}

describe.concurrent('what leaves a unit', () => {
  test('of an open network reaches the internet and what is declared, and nothing private, nothing of the host, no other deployment', async () => {
    const nets = [networkOf(owner, 'open'), networkOf(owner, 'shim')];
    const other = { ...ownerOf('e'), installation: owner.installation };
    const others = [networkOf(other, 'open'), networkOf(other, 'shim'), networkOf(other, 'closed')];
    await ensure([...nets, ...others]);
    const serving = ['sh', '-c', 'cd /srv && exec httpd -f -p 80'];
    const neighbour = await engine.createUnit(unitOf(other, image, { networks: others, shimPort: 80, entrypoint: serving, command: [] }));
    await engine.startUnit(neighbour.id);
    const { publishedPort } = await until(engine, neighbour.id, (state) => state.publishedPort !== null);
    const inside = docker.addressesOf(neighbour.id);
    expect(inside).toHaveLength(3);
    const gateways = [...new Set([...docker.gateways(nets[0]?.name ?? ''), ...docker.gateways(nets[1]?.name ?? '')])];
    expect(gateways).toHaveLength(2);
    const refused = [
      `${docker.testAddress}:${port}`,
      `${LINK_LOCAL}:${port}`,
      `${docker.address}:${HOST_PORT}`,
      `${docker.address}:${publishedPort}`,
      ...gateways.map((gateway) => `${gateway}:${HOST_PORT}`),
      ...inside.map((address) => `${address}:80`),
    ];
    const answers = await reach({ networks: nets, unit: 'open', shimPort: 80 }, [`${WORLD}:${port}`, `${ALLOWED}:${port}`, ...refused]);
    expect(answers).toEqual({
      [`${WORLD}:${port}`]: 'reached',
      [`${ALLOWED}:${port}`]: 'reached',
      ...Object.fromEntries(refused.map((target) => [target, 'refused'])),
    });
    // What was refused is there: the test and the host reach it.
    expect((await fetch(`http://${docker.address}:${publishedPort}/`)).status).toBe(404);
    expect((await fetch(`http://${docker.address}:${HOST_PORT}/ostype`)).status).toBe(200);
    expect((await fetch(`http://${LINK_LOCAL}:${port}/`)).status).toBe(200);
    await engine.removeUnit(neighbour.id);
  });

  test.each(['closed', 'shim'] as const)('of a %s network reaches nothing but its members', async (role) => {
    const net = networkOf(owner, role, 'only');
    await ensure([net]);
    const [gateway = ''] = docker.gateways(net.name);
    const targets = [
      `${WORLD}:${port}`,
      `${ALLOWED}:${port}`,
      `${docker.testAddress}:${port}`,
      `${docker.address}:${HOST_PORT}`,
      `${gateway}:${HOST_PORT}`,
    ];
    const answers = await reach({ networks: [net], unit: role }, targets);
    expect(answers).toEqual(Object.fromEntries(targets.map((target) => [target, 'refused'])));
  });

  test('finds the units of its network by name, and no name of the world', async () => {
    const net = networkOf(owner, 'closed', 'pair');
    await ensure([net]);
    const serving = ['sh', '-c', 'cd /srv && exec httpd -f -p 80'];
    const { id } = await engine.createUnit(unitOf(owner, image, { unit: 'back', networks: [net], entrypoint: serving, command: [] }));
    await engine.startUnit(id);
    const script = [
      'address=$(nslookup -type=a back 127.0.0.11 | grep "^Address" | tail -1 | sed "s/.* //")',
      'printf "GET / HTTP/1.0\r\n\r\n" | nc -w 1 $address 80 | head -1',
      'nslookup -type=a -timeout=1 -retry=1 example.com 127.0.0.11 2>&1 | grep -o "SERVFAIL\\|no servers could be reached"',
    ].join('; ');
    const { text } = await runUnit(
      engine,
      unitOf(owner, image, { unit: 'front', networks: [net], entrypoint: ['sh', '-c'], command: [script] }),
    );
    expect(text).toMatch(/^HTTP\/1\.[01] 404 Not Found\r?\n(?:SERVFAIL|no servers could be reached)/);
    await engine.removeUnit(id);
  });
});

describe('the rules', () => {
  test('come back before the next unit where someone took them away or put others before them', async () => {
    const net = networkOf(owner, 'open', 'again');
    await ensure([net]);
    docker.run('iptables', '-F', 'CASTELLAN-FORWARD');
    docker.run('iptables', '-I', 'INPUT', '1', '-j', 'ACCEPT');
    docker.run('iptables', '-D', 'DOCKER-USER', '-j', 'CASTELLAN-FORWARD');
    const targets = [`${docker.testAddress}:${port}`, `${docker.address}:${HOST_PORT}`];
    expect(await reach({ networks: [net], unit: 'again' }, targets)).toEqual(
      Object.fromEntries(targets.map((target) => [target, 'refused'])),
    );
    expect(docker.run('iptables', '-S', 'INPUT').match(/CASTELLAN/g)).toHaveLength(1);
    docker.run('iptables', '-D', 'INPUT', '-j', 'ACCEPT');
  });

  test('come back with a listing too, for units that the engine started by itself', async () => {
    await ensure([networkOf(owner, 'open', 'again')]);
    docker.run('iptables', '-F', 'CASTELLAN-FORWARD');
    await engine.list(owner.installation);
    expect(docker.run('iptables', '-S', 'CASTELLAN-FORWARD').split('\n').length).toBeLessThan(5);
    const often = adapterOf(docker, { limits: { firewallEveryMs: 0 } });
    await often.list(owner.installation);
    await often.close();
    expect(docker.run('iptables', '-S', 'CASTELLAN-FORWARD').split('\n').length).toBeGreaterThan(15);
  });

  test('that cannot be put in place refuse an open network where the host is strict, and say so where it is not', async () => {
    const firewall = { via: ['false'], exceptions: { allow: [], dns: [] } };
    const strict = adapterOf(docker, { firewall: { ...firewall, mode: 'strict' } });
    const net = networkOf(owner, 'open', 'none');
    await expect(strict.ensureNetwork(net)).rejects.toMatchObject({
      kind: 'firewall',
      publicMessage: 'The host cannot keep outgoing traffic away from private networks, so it makes no network with `egress: open`.',
    });
    await expect(strict.createUnit(unitOf(owner, image, { unit: 'none', networks: [net] }))).rejects.toMatchObject({ kind: 'firewall' });
    expect((await engine.list(owner.installation)).networks.map(({ name }) => name)).not.toContain(net.name);
    await strict.ensureNetwork(networkOf(owner, 'closed', 'none'));
    expect(await strict.ping()).toMatchObject({ firewall: 'unmanaged' });
    for (const mode of ['lenient', 'off'] as const) {
      const other = adapterOf(docker, { firewall: { ...firewall, mode } });
      await other.ensureNetwork(networkOf(owner, 'open', mode));
      expect(await other.ping()).toMatchObject({ firewall: 'unmanaged' });
      await other.close();
    }
    await strict.close();
  });
});

describe('an engine that is killed', () => {
  test('is unreachable at once, and has after its start what it had, with the rules in place', async () => {
    const nets = [networkOf(owner, 'open', 'killed'), networkOf(owner, 'shim', 'killed')];
    await ensure(nets);
    // An engine that starts again first ends what the one before it left: at once, by this signal.
    const spec = unitOf(owner, image, {
      unit: 'killed',
      networks: nets,
      restart: { name: 'always', maximumRetries: 0 },
      stopSignal: 'SIGKILL',
    });
    const { id } = await engine.createUnit(spec);
    await engine.startUnit(id);
    const signal = new AbortController().signal;
    const lines = Array.fromAsync(engine.logs(id, { tail: 0, sinceMs: null, follow: true, signal }));
    const following = lines.catch((error: unknown) => error);
    await until(engine, id, ({ state }) => state === 'running');
    await docker.kill();
    expect(await following).toMatchObject({ kind: 'unreachable' });
    await expect(engine.ping()).rejects.toMatchObject({
      kind: 'unreachable',
      publicMessage: 'The host of the container cannot be reached.',
    });
    await docker.start();
    await until(engine, id, ({ state }) => state === 'running');
    expect(await engine.createUnit(spec)).toEqual({ id });
    expect(docker.run('iptables', '-S', 'DOCKER-USER')).toContain('CASTELLAN-FORWARD');
    const targets = [`${docker.testAddress}:${port}`, `${docker.address}:${HOST_PORT}`];
    expect(await reach({ networks: nets, unit: 'after' }, targets)).toEqual(
      Object.fromEntries(targets.map((target) => [target, 'refused'])),
    );
  });
});

test('what is removed leaves nothing on the host: no unit, network, bridge or volume', async () => {
  await clear(engine, owner);
  expect(await engine.list(owner.installation)).toEqual({ units: [], networks: [], volumes: [] });
  expect(docker.run('ip', '-br', 'link')).not.toMatch(/cs[oc]-/);
  expect(await engine.removeImage(image)).toBe(true);
});
