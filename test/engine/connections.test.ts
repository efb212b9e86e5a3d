import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { volumeName } from '../../src/core/containers/engine-names.ts';
import type { ImageRef } from '../../src/core/containers/images.ts';
import type { EngineTls } from '../../src/engine/docker/engine-address.ts';
import type { ContainerEngine, EngineFault } from '../../src/ports/container-engine.ts';
import { startDockerEngine, type TestEngine } from '../support/docker-engine.ts';
import { startDockerRegistry, type TestRegistry } from '../support/docker-registry.ts';
import { startEngineProxy, type EngineProxy } from '../support/engine-proxy.ts';
import { startTied, type TiedProcess } from '../support/tied-process.ts';
import { adapterOf, clear, imageOf, linesOf, networkOf, ownerOf, unitOf } from './stage.ts';

let docker: TestEngine;
let registry: TestRegistry;
let proxy: EngineProxy;
let image: ImageRef;
let folder = '';
const owner = ownerOf('c');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-connections-'));
  docker = await startDockerEngine();
  proxy = await startEngineProxy(docker.socket);
  registry = await startDockerRegistry({ address: docker.testAddress });
  image = imageOf(await registry.push({ name: 'acme/steps', command: ['sh', '-c', 'echo here; exec sleep 60'] }));
});
afterAll(async () => {
  await proxy.close();
  await registry.stop();
  await docker.stop();
  rmSync(folder, { recursive: true });
});

const never = (): AbortSignal => new AbortController().signal;

/** The steps in the life of a unit, each of which may be broken off. */
const stepsOf = (engine: ContainerEngine): readonly (readonly [string, () => Promise<unknown>])[] => {
  const net = networkOf(owner, 'shim');
  const volume = volumeName(owner.container, 'data');
  const spec = unitOf(owner, image, { networks: [net], shimPort: 80, mounts: [{ volume, path: '/data', ownerId: null }] });
  return [
    ['ping', () => engine.ping()],
    ['pull', () => engine.pull({ image, auth: null, signal: never() })],
    ['hasImage', () => engine.hasImage(image)],
    ['ensureVolume', () => engine.ensureVolume({ name: volume, owner: { ...owner, deployment: null } })],
    ['ensureNetwork', () => engine.ensureNetwork(net)],
    ['createUnit', () => engine.createUnit(spec)],
    ['startUnit', () => engine.startUnit(spec.name)],
    ['inspectUnit', () => engine.inspectUnit(spec.name)],
    ['stats', () => engine.stats(spec.name)],
    ['logs', () => linesOf(engine, spec.name)],
    ['list', () => engine.list(owner.installation)],
    ['stopUnit', () => engine.stopUnit(spec.name, 0)],
    ['removeUnit', () => engine.removeUnit(spec.name)],
    ['removeNetwork', () => engine.removeNetwork(net.name)],
    ['removeVolume', () => engine.removeVolume(volume)],
    ['removeImage', () => engine.removeImage(image)],
  ];
};

const faultOf = (step: Promise<unknown>): Promise<EngineFault | undefined> =>
  step.then(
    () => undefined,
    (fault: EngineFault) => fault,
  );

describe('an engine whose socket goes in the middle of a step', () => {
  test.each(['lost', 'half'] as const)(
    'with the answer %s is unreachable at once, and the step done again brings what was asked',
    async (mode) => {
      const engine = adapterOf({ ...docker, docker: proxy.docker });
      try {
        for (const [name, step] of stepsOf(engine)) {
          proxy.setMode(mode);
          expect({ name, fault: await faultOf(step()) }).toMatchObject({ name, fault: { kind: 'unreachable', status: null } });
          proxy.setMode('pass');
          expect({ name, fault: await faultOf(step()) }).toEqual({ name, fault: undefined });
        }
        expect(await engine.list(owner.installation)).toEqual({ units: [], networks: [], volumes: [] });
        expect(await engine.hasImage(image)).toBe(false);
      } finally {
        proxy.setMode('pass');
        await clear(engine, owner);
        await engine.close();
      }
    },
  );

  test('with no answer at all ends every step in time', async () => {
    const engine = adapterOf({ ...docker, docker: proxy.docker }, { limits: { requestMs: 700, stallMs: 700 } });
    await engine.hasImage(image);
    proxy.setMode('stall');
    const started = performance.now();
    const faults = await Promise.all(stepsOf(engine).map(async ([name, step]) => [name, (await faultOf(step()))?.kind]));
    proxy.setMode('pass');
    expect(performance.now() - started).toBeLessThan(10_000);
    expect(faults).toEqual(stepsOf(engine).map(([name]) => [name, name === 'pull' ? 'registry_failed' : 'timeout']));
    await engine.close();
    const near = adapterOf(docker);
    await clear(near, owner);
    await near.close();
  });

  test('by our own closing fails what is on its way, and what comes after', async () => {
    const engine = adapterOf({ ...docker, docker: proxy.docker });
    await engine.hasImage(image);
    proxy.setMode('stall');
    const waiting = faultOf(engine.hasImage(image));
    await engine.close();
    proxy.setMode('pass');
    expect(await waiting).toMatchObject({ kind: 'unreachable' });
    expect(await faultOf(engine.hasImage(image))).toMatchObject({ kind: 'unreachable' });
  });
});

describe('an engine that is not there', () => {
  test('is unreachable, and neither its address nor ours is told to callers', async () => {
    for (const address of ['unix:///nowhere/docker.sock', 'tcp://127.0.0.1:1']) {
      const engine = adapterOf({ ...docker, docker: address });
      const fault = await faultOf(engine.ping());
      expect(fault).toMatchObject({
        kind: 'unreachable',
        code: 'upstream_failed',
        publicMessage: 'The host of the container cannot be reached.',
      });
      expect(fault?.message).toMatch(/^test-host: GET \/version: connect E/);
      await engine.close();
    }
  });
});

describe('an engine by TLS', () => {
  let server: TlsServer;
  let port = 0;
  const pem = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const tls = (ca: string, client: string): EngineTls => ({ ca: pem(`${ca}.pem`), cert: pem(`${client}.pem`), key: pem(`${client}.key`) });

  beforeAll(async () => {
    const openssl = (...args: string[]): void => {
      const run = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
      if (run.status !== 0) throw new Error(run.stderr);
    };
    const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    for (const ca of ['ca', 'other'])
      openssl('req', '-x509', ...EC, '-subj', `/CN=${ca}`, '-days', '2', '-keyout', `${ca}.key`, '-out', `${ca}.pem`);
    for (const [name, ca] of [
      ['server', 'ca'],
      ['client', 'ca'],
      ['stranger', 'other'],
    ]) {
      const san = ['-addext', 'subjectAltName=IP:127.0.0.1'];
      openssl(
        'req',
        '-x509',
        ...EC,
        '-subj',
        `/CN=${name}`,
        ...san,
        '-days',
        '2',
        '-CA',
        `${ca}.pem`,
        '-CAkey',
        `${ca}.key`,
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.pem`,
      );
    }
    server = createTlsServer({ ...tls('ca', 'server'), requestCert: true, rejectUnauthorized: true }, (client) => {
      const engine = connect(docker.socket);
      client.on('error', () => engine.destroy());
      engine.on('error', () => client.destroy());
      client.pipe(engine).pipe(client);
    });
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => void server.close());

  const over = (given: EngineTls): ContainerEngine =>
    adapterOf(docker, {
      docker: { kind: 'tcp', host: '127.0.0.1', port, tls: given },
      firewall: { mode: 'strict', via: null, exceptions: { allow: [], dns: [] } },
    });

  test('answers who has its certificates, and its networks are not within our reach', async () => {
    const engine = over(tls('ca', 'client'));
    expect(await engine.ping()).toMatchObject({ firewall: 'unmanaged' });
    await expect(engine.ensureNetwork(networkOf(owner, 'open'))).rejects.toMatchObject({ kind: 'firewall' });
    await engine.close();
  });

  test('is unreachable to a stranger, and a stranger in its place is not spoken to', async () => {
    for (const given of [tls('ca', 'stranger'), tls('other', 'client')]) {
      const engine = over(given);
      expect(await faultOf(engine.ping())).toMatchObject({ kind: 'unreachable' });
      await engine.close();
    }
  });
});

describe('an engine by SSH', () => {
  let sshd: TiedProcess;
  let port = 0;
  const file = (name: string): string => join(folder, name);

  beforeAll(async () => {
    for (const key of ['host', 'user', 'stranger']) spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(`ssh_${key}`)]);
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    ({ port } = probe.address() as AddressInfo);
    await new Promise((resolve) => probe.close(resolve));
    writeFileSync(file('authorized'), readFileSync(file('ssh_user.pub')));
    writeFileSync(file('known'), `[127.0.0.1]:${port} ${readFileSync(file('ssh_host.pub'), 'utf8')}`);
    writeFileSync(file('unknown'), '');
    chmodSync(file('authorized'), 0o600);
    mkdirSync('/run/sshd', { recursive: true });
    writeFileSync(
      file('sshd_config'),
      [
        `ListenAddress 127.0.0.1:${port}`,
        `HostKey ${file('ssh_host')}`,
        `AuthorizedKeysFile ${file('authorized')}`,
        'PidFile none',
        'PermitRootLogin yes',
        'StrictModes no',
        'PasswordAuthentication no',
        `SetEnv DOCKER_HOST=${docker.docker}`,
      ].join('\n'),
    );
    sshd = startTied(['/usr/sbin/sshd', '-D', '-e', '-f', file('sshd_config')]);
    for (let isUp = false; !isUp;) {
      if (sshd.hasEnded()) throw new Error('sshd ended: is openssh-server installed?');
      isUp = await new Promise<boolean>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => socket.end(() => resolve(true)));
        socket.on('error', () => setTimeout(() => resolve(false), 20));
      });
    }
  });
  afterAll(() => sshd.stop());

  const over = (key: string, known: string): ContainerEngine =>
    adapterOf(docker, {
      docker: { kind: 'ssh', host: '127.0.0.1', port, user: userInfo().username },
      sshProgram: ['ssh', '-F', 'none', '-i', file(key), '-o', 'IdentitiesOnly=yes', '-o', `UserKnownHostsFile=${file(known)}`],
      firewall: { mode: 'off', via: null, exceptions: { allow: [], dns: [] } },
    });

  test('answers, also several questions at a time, and a log that is followed', async () => {
    const engine = over('ssh_user', 'known');
    const near = adapterOf(docker);
    await near.pull({ image, auth: null, signal: never() });
    const { id } = await engine.createUnit(unitOf(owner, image, { unit: 'ssh' }));
    await near.startUnit(id);
    const [state, listed] = await Promise.all([engine.inspectUnit(id), engine.list(owner.installation)]);
    expect(state).toMatchObject({ id, state: 'running' });
    expect(listed.units.map(({ unit }) => unit)).toEqual(['ssh']);
    const ending = new AbortController();
    const lines = [];
    for await (const { line } of engine.logs(id, { tail: null, sinceMs: null, follow: true, signal: ending.signal })) {
      lines.push(line);
      ending.abort();
    }
    expect(lines).toEqual(['here']);
    await clear(near, owner);
    await near.removeImage(image);
    await near.close();
    await engine.close();
  });

  test('is unreachable with another key, and where its own key is not known, and why is in the log', async () => {
    for (const [key, known, why] of [
      ['ssh_stranger', 'known', /Permission denied/],
      ['ssh_user', 'unknown', /Host key verification failed/],
    ] as const) {
      const engine = over(key, known);
      const fault = await faultOf(engine.ping());
      expect(fault).toMatchObject({ kind: 'unreachable', publicMessage: 'The host of the container cannot be reached.' });
      expect(fault?.message).toMatch(why);
      await engine.close();
    }
  });
});
