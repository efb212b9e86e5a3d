import { readdirSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { volumeName } from '../../src/core/containers/engine-names.ts';
import { imageAddress, type ImageRef } from '../../src/core/containers/images.ts';
import type { ContainerEngine, UnitExec, UnitSpec } from '../../src/ports/container-engine.ts';
import { startDockerEngine, type TestEngine } from '../support/docker-engine.ts';
import { startDockerRegistry, type TestRegistry } from '../support/docker-registry.ts';
import { waitUntil } from '../support/wait-until.ts';
import { adapterOf, clear, imageOf, isEnded, linesOf, networkOf, ownerOf, runUnit, unitOf, until } from './stage.ts';

const MIB = 1024 * 1024;
const LOG_BYTES = 300_000;

let docker: TestEngine;
let registry: TestRegistry;
let engine: ContainerEngine;
let image: ImageRef;
const owners: ReturnType<typeof ownerOf>[] = [];

beforeAll(async () => {
  docker = await startDockerEngine();
  registry = await startDockerRegistry({ address: docker.testAddress });
  engine = adapterOf(docker, { limits: { logBytes: LOG_BYTES } });
  image = imageOf(await registry.push({ name: 'acme/tools', command: ['sh', '-c', 'echo started; exec sleep 60'] }));
  await engine.pull({ image, auth: null, signal: new AbortController().signal });
});
afterAll(async () => {
  await Promise.all(owners.map((owner) => clear(engine, owner)));
  await engine.removeImage(image);
  await engine.close();
  await registry.stop();
  await docker.stop();
});

const sh = (script: string): Pick<UnitSpec, 'command' | 'entrypoint'> => ({ entrypoint: ['sh', '-c'], command: [script] });

/** An owner for one test, and what is run as its own: tests run side by side. */
function scene(): {
  readonly owner: ReturnType<typeof ownerOf>;
  readonly run: (script: string, given?: Partial<UnitSpec>) => ReturnType<typeof runUnit>;
} {
  const owner = ownerOf('d');
  owners.push(owner);
  return { owner, run: (script, given = {}) => runUnit(engine, unitOf(owner, image, { ...sh(script), ...given })) };
}

const start = async (spec: UnitSpec): Promise<string> => {
  const { id } = await engine.createUnit(spec);
  await engine.startUnit(id);
  return id;
};
const SHM_KB = 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2';
/** A file of the control group of a unit, as it sees it: version 2's, else version 1's. */
const group = (v2: string, v1: string): string => `cat /sys/fs/cgroup/${v2} 2>/dev/null || cat /sys/fs/cgroup/${v1}`;

test.concurrent('an engine tells its version, its size and that its traffic is kept in', async () => {
  const state = await engine.ping();
  expect(state.version).toMatch(/^\d+\./);
  expect(state.apiVersion).toMatch(/^1\.\d+$/);
  expect(state.firewall).toBe('managed');
  expect(state.cpus).toBeGreaterThan(0);
  expect(state.memoryBytes).toBeGreaterThan(100 * MIB);
});

describe('a unit', () => {
  test.concurrent('runs as its image says, and is stopped, and removed, each also twice', async () => {
    const { owner } = scene();
    const { id } = await engine.createUnit(unitOf(owner, image));
    expect(await engine.inspectUnit(id)).toMatchObject({ id, state: 'created', startedAtMs: null, publishedPort: null, health: 'none' });
    await engine.startUnit(id);
    await engine.startUnit(id);
    expect(await engine.inspectUnit(id)).toMatchObject({ state: 'running', restarts: 0, error: '' });
    await engine.stopUnit(id, 0);
    await engine.stopUnit(id, 0);
    expect(await engine.inspectUnit(id)).toMatchObject({ state: 'exited', exitCode: 137, oomKilled: false });
    await engine.removeUnit(id);
    await engine.removeUnit(id);
    await engine.stopUnit(id, 0);
    expect(await engine.inspectUnit(id)).toBeNull();
    expect(await engine.stats(id)).toBeNull();
    expect(await linesOf(engine, id)).toEqual([]);
  });

  test.concurrent('that was made is taken by whoever makes it again, and refused to another specification', async () => {
    const { owner } = scene();
    const spec = unitOf(owner, image, { env: [{ name: 'A', value: '1' }] });
    const { id } = await engine.createUnit(spec);
    expect(await engine.createUnit(spec)).toEqual({ id });
    await engine.startUnit(id);
    expect(await engine.createUnit(spec)).toEqual({ id });
    const other = engine.createUnit({ ...spec, env: [{ name: 'A', value: '2' }] });
    await expect(other).rejects.toMatchObject({ kind: 'conflict' });
    expect(await engine.inspectUnit(spec.name)).toMatchObject({ id, state: 'running' });
  });

  test.concurrent('has what its specification says and nothing more, as seen from inside', async () => {
    const { run } = scene();
    const script = [
      'echo "$A|$(id -u)|$(pwd)|$(hostname)|$(ls /sys/class/net)"',
      'touch /x 2>&1',
      'grep -E "NoNewPrivs|CapEff|CapBnd|CapPrm" /proc/self/status',
      'ulimit -c',
      group('memory.max', 'memory/memory.limit_in_bytes'),
      group('memory.swap.max', 'memory/memory.memsw.limit_in_bytes'),
      group('cpu.max', 'cpu/cpu.cfs_quota_us'),
      SHM_KB,
    ].join('; ');
    const env = [{ name: 'A', value: 'x=y z' }];
    const { text } = await run(script, { env, user: '1000', workingDir: '/srv', cpus: 0.5, memoryBytes: 32 * MIB });
    const [first, root, prm, eff, bnd, noNew, core, memory, swap = '', cpu, shmKb] = text.replaceAll('\t', ' ').split('\n');
    expect(first).toBe('x=y z|1000|/srv|app|lo');
    expect(root).toBe('touch: /x: Read-only file system');
    expect([prm, eff, bnd]).toEqual(['CapPrm', 'CapEff', 'CapBnd'].map((name) => `${name}: 0000000000000000`));
    expect([noNew, core]).toEqual(['NoNewPrivs: 1', '0']);
    expect(memory).toBe(String(32 * MIB));
    // Version 2 of control groups counts swap by itself, version 1 together with the memory.
    expect([String(32 * MIB), '0']).toContain(swap);
    expect(cpu?.split(' ')[0]).toBe('50000');
    expect(shmKb).toBe(String((16 * MIB) / 1024));
  });

  test.concurrent('writes to its root, has a capability and another shared memory where its specification says so', async () => {
    const { run } = scene();
    const given = { readOnly: false, capAdd: ['NET_BIND_SERVICE'], shmBytes: MIB };
    const { text } = await run(`touch /x && grep CapBnd /proc/self/status; ${SHM_KB}`, given);
    expect(text.replaceAll('\t', ' ')).toBe('CapBnd: 0000000000000400\n1024');
  });

  test.concurrent('that makes processes without end is stopped at its limit, and the host goes on', async () => {
    const { run } = scene();
    const { text, state } = await run('for i in $(seq 100); do sleep 20 & done 2>&1; echo unreachable', { pidsLimit: 20 });
    expect(text).toContain("can't fork");
    expect(text).not.toContain('unreachable');
    expect(state.exitCode).not.toBe(0);
  });

  test.concurrent('that fills its memory is killed, and that is told', async () => {
    // The engine hears why a unit was killed beside its end, and now and then not at all.
    for (let isTold = false, tries = 5; !isTold; tries -= 1) {
      expect(tries).toBeGreaterThan(0);
      const { run } = scene();
      const { state } = await run('exec dd if=/dev/zero of=/dev/null bs=100M', { memoryBytes: 16 * MIB });
      expect(state).toMatchObject({ state: 'exited', exitCode: 137 });
      isTold = await waitUntil(async () => (await engine.inspectUnit(state.id))?.oomKilled === true, 2000).then(
        () => true,
        () => false,
      );
    }
  });

  test.concurrent('has a tmpfs of the size that it says, or of half of its memory', async () => {
    const { run } = scene();
    const script =
      'for d in a b; do dd if=/dev/zero of=/$d/f bs=1M count=30 2>&1 | tail -1; stat -c %s /$d/f; done; echo x >/a/../c/x; chmod +x /c/x; mount | grep " /a "';
    const { text } = await run(script, {
      memoryBytes: 48 * MIB,
      tmpfs: [
        { path: '/a', options: 'size=2m,mode=700' },
        { path: '/b', options: '' },
        { path: '/c', options: 'size=1m' },
      ],
    });
    const lines = text.split('\n');
    expect(lines[1]).toBe(String(2 * MIB));
    expect(lines[3]).toBe(String(24 * MIB));
    expect(lines.at(-1)).toMatch(/tmpfs.*nosuid,nodev,noexec/);
  });

  test.concurrent('keeps a log of bounded size, whatever it writes', async () => {
    const { run } = scene();
    const { state } = await run('yes 0123456789012345678901234567890123456789 | head -c 3000000');
    const path = await logPath(state.id);
    const sizes = readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path)));
    const total = sizes.reduce((sum, name) => sum + statSync(join(dirname(path), name)).size, 0);
    expect(total).toBeGreaterThan(LOG_BYTES / 3);
    // A file is closed once it is over its third, by at most the line that did it.
    expect(total).toBeLessThan(LOG_BYTES + 3000);
    expect((await linesOf(engine, state.id)).at(-1)?.line).toMatch(/^[0-9]+$/);
  });

  test.concurrent('that has no such command, or wants a port that is taken, is unstartable, and why is told', async () => {
    const { owner } = scene();
    const nothing = await engine.createUnit(unitOf(owner, image, { entrypoint: ['/no/such'], command: [] }));
    await expect(engine.startUnit(nothing.id)).rejects.toMatchObject({
      kind: 'unstartable',
      publicMessage: 'The container cannot be started: its command /no/such cannot be run: no such file or directory.',
    });
    expect(await engine.inspectUnit(nothing.id)).toMatchObject({
      state: 'created',
      exitCode: 127,
      error: 'its command /no/such cannot be run: no such file or directory',
    });
    const net = networkOf(owner, 'shim');
    await engine.ensureNetwork(net);
    const first = await start(unitOf(owner, image, { unit: 'a', networks: [net], shimPort: 80 }));
    const hostPort = (await until(engine, first, ({ publishedPort }) => publishedPort !== null)).publishedPort ?? 0;
    const second = await engine.createUnit(unitOf(owner, image, { unit: 'b', networks: [net], ports: [{ hostPort, containerPort: 80 }] }));
    await expect(engine.startUnit(second.id)).rejects.toMatchObject({
      kind: 'unstartable',
      publicMessage: 'The container cannot be started: a host port that it wants is taken.',
    });
  });

  test.concurrent('with GPUs is unstartable where the host has none', async () => {
    const { owner } = scene();
    const { id } = await engine.createUnit(unitOf(owner, image, { gpus: ['0'], allottedGpus: ['0'] }));
    await expect(engine.startUnit(id)).rejects.toMatchObject({
      kind: 'unstartable',
      publicMessage: 'The container cannot be started: the host has no GPUs for containers.',
    });
  });

  test.concurrent('that lost what it needs is told from one that cannot run: making it again may help', async () => {
    const { owner } = scene();
    const missing = { ...image, repository: 'acme/missing' };
    await expect(engine.createUnit(unitOf(owner, missing))).rejects.toMatchObject({ kind: 'gone', status: 404 });
    const net = networkOf(owner, 'shim');
    await engine.ensureNetwork(net);
    const { id } = await engine.createUnit(unitOf(owner, image, { networks: [net] }));
    await engine.removeNetwork(net.name);
    await expect(engine.startUnit(id)).rejects.toMatchObject({ kind: 'gone' });
    await engine.removeUnit(id);
    await expect(engine.startUnit(id)).rejects.toMatchObject({ kind: 'gone' });
  });

  test.concurrent('is started again by the engine as its rule says, and how often is told', async () => {
    const { owner } = scene();
    const id = await start(unitOf(owner, image, { ...sh('exit 3'), restart: { name: 'on-failure', maximumRetries: 1 } }));
    expect(await until(engine, id, (state) => isEnded(state) && state.restarts === 1)).toMatchObject({ exitCode: 3 });
  });

  test.concurrent('is asked to end by its own signal', async () => {
    const { owner } = scene();
    const script = 'trap "echo asked; exit 7" USR1; trap "" TERM; echo ready; while :; do sleep 0.05; done';
    const id = await start(unitOf(owner, image, { ...sh(script), stopSignal: 'SIGUSR1' }));
    await until(engine, id, ({ state }) => state === 'running');
    while ((await linesOf(engine, id)).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await engine.stopUnit(id, 10);
    expect(await engine.inspectUnit(id)).toMatchObject({ state: 'exited', exitCode: 7 });
  });

  test.concurrent('is healthy or unhealthy as its check says, with what the check printed', async () => {
    const { owner } = scene();
    const check = { intervalMs: 50, timeoutMs: 2000, retries: 2, startPeriodMs: null };
    const well = await start(unitOf(owner, image, { unit: 'well', healthcheck: { ...check, test: ['CMD', 'true'] } }));
    const ill = await start(unitOf(owner, image, { unit: 'ill', healthcheck: { ...check, test: ['CMD-SHELL', 'echo broken; exit 1'] } }));
    expect((await engine.inspectUnit(well))?.health).not.toBe('none');
    await until(engine, well, ({ health }) => health === 'healthy');
    expect(await until(engine, ill, ({ health }) => health === 'unhealthy')).toMatchObject({ state: 'running', healthOutput: 'broken' });
    const listed = (await engine.list(owner.installation)).units;
    expect(Object.fromEntries(listed.map(({ unit, health }) => [unit, health]))).toEqual({ ill: 'unhealthy', well: 'healthy' });
  });
});

/** Asks the engine past the adapter. */
const ask = (method: string, path: string, body?: object): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: docker.socket, method, path, headers: { 'content-type': 'application/json' } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      answer.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end(body === undefined ? '' : JSON.stringify(body));
  });

/** Where the engine keeps the log of a unit. */
const logPath = async (id: string): Promise<string> =>
  (JSON.parse(await ask('GET', `/containers/${id}/json`)) as { LogPath: string }).LogPath;

describe('networks', () => {
  test.concurrent('are made once, told from another of that name, and removed with whatever is on them', async () => {
    const { owner } = scene();
    const net = networkOf(owner, 'closed');
    await engine.ensureNetwork(net);
    await engine.ensureNetwork(net);
    await expect(engine.ensureNetwork({ ...net, owner: { ...owner, installation: 'other' } })).rejects.toMatchObject({ kind: 'conflict' });
    await expect(engine.ensureNetwork({ ...net, role: 'open' })).rejects.toMatchObject({ kind: 'conflict' });
    const id = await start(unitOf(owner, image, { networks: [net] }));
    await engine.removeNetwork(net.name);
    await engine.removeNetwork(net.name);
    expect((await engine.inspectUnit(id))?.state).toBe('running');
    expect((await engine.list(owner.installation)).networks).toEqual([]);
  });

  test.concurrent('made many times at once are one', async () => {
    const { owner } = scene();
    const net = networkOf(owner, 'open');
    await Promise.all(Array.from({ length: 5 }, () => engine.ensureNetwork(net)));
    expect((await engine.list(owner.installation)).networks).toEqual([{ name: net.name, owner }]);
  });

  test.concurrent('publish a port on the address of the host, on several networks too, and anew with every start', async () => {
    const { owner } = scene();
    const nets = [networkOf(owner, 'shim'), networkOf(owner, 'closed'), networkOf(owner, 'open')];
    for (const net of nets) await engine.ensureNetwork(net);
    const script = 'echo hello >/tmp/index.html; exec httpd -f -p 80 -h /tmp';
    const spec = unitOf(owner, image, { ...sh(script), networks: nets, shimPort: 80, tmpfs: [{ path: '/tmp', options: 'size=1m' }] });
    const id = await start(spec);
    const fetchIt = async (): Promise<string> => {
      const { publishedPort } = await until(engine, id, (state) => state.publishedPort !== null);
      const [listed] = (await engine.list(owner.installation)).units;
      expect(listed?.publishedPort).toBe(publishedPort);
      for (;;) {
        const answer = await fetch(`http://${docker.address}:${publishedPort}/`).catch(() => null);
        if (answer !== null) return answer.text();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    expect(await fetchIt()).toBe('hello\n');
    await engine.stopUnit(id, 0);
    expect((await engine.inspectUnit(id))?.publishedPort).toBeNull();
    await engine.startUnit(id);
    expect(await fetchIt()).toBe('hello\n');
  });

  test.concurrent('that a unit was to join when its maker died are joined by whoever makes it again', async () => {
    const { owner } = scene();
    const nets = [networkOf(owner, 'closed', 'one'), networkOf(owner, 'closed', 'two')];
    const spec = unitOf(owner, image, { ...sh('ls /sys/class/net | wc -l'), networks: nets });
    for (const net of nets) await engine.ensureNetwork(net);
    const { id } = await engine.createUnit(spec);
    expect(await ask('POST', `/networks/${nets[1]?.name}/disconnect`, { Container: id })).toBe('');
    expect(await engine.createUnit(spec)).toEqual({ id });
    expect((await runUnit(engine, spec)).text).toBe('3');
  });
});

describe('volumes', () => {
  test.concurrent('are given to their owner, outlive a unit, and are removed once no unit uses them', async () => {
    const { owner, run } = scene();
    const name = volumeName(owner.container, 'data');
    const spec = { name, owner: { ...owner, deployment: null } };
    await engine.ensureVolume(spec);
    await engine.ensureVolume(spec);
    await expect(engine.ensureVolume({ ...spec, owner: { ...spec.owner, installation: 'other' } })).rejects.toMatchObject({
      kind: 'conflict',
    });
    const mounts = [{ volume: name, path: '/data', ownerId: 1000 }];
    const first = await run('echo kept >/data/f && stat -c "%u %g %a" /data && chmod 700 /data', { mounts, user: '1000:1000' });
    expect(first.text).toBe('1000 1000 755');
    const second = await run('cat /data/f; stat -c "%u %g %a" /data', { unit: 'b', mounts, user: '1000:1000' });
    expect(second.text).toBe('kept\n1000 1000 700');
    await expect(engine.removeVolume(name)).rejects.toMatchObject({ kind: 'in_use' });
    const listed = await engine.list(owner.installation);
    expect(listed.volumes).toEqual([{ name, owner: spec.owner }]);
    expect(listed.units.map(({ unit }) => unit).toSorted()).toEqual(['app', 'b']);
    for (const { id } of listed.units) await engine.removeUnit(id);
    await engine.removeVolume(name);
    await engine.removeVolume(name);
    expect((await engine.list(owner.installation)).volumes).toEqual([]);
  });
});

describe('a listing', () => {
  test.concurrent('has what is of the installation, with whose it is, and nothing else', async () => {
    const { owner } = scene();
    const other = ownerOf('d');
    const net = networkOf(owner, 'shim');
    await engine.ensureNetwork(net);
    await engine.ensureNetwork(networkOf(other, 'shim'));
    const id = await start(unitOf(owner, image, { networks: [net], shimPort: 80, allottedGpus: ['0', 'GPU-1'] }));
    await engine.createUnit(unitOf(other, image));
    const { publishedPort } = await until(engine, id, (state) => state.publishedPort !== null);
    expect(await engine.list(owner.installation)).toEqual({
      units: [
        {
          id,
          name: unitOf(owner, image).name,
          unit: 'app',
          owner,
          state: 'running',
          health: 'none',
          publishedPort,
          image: imageAddress(image),
          allottedGpus: ['0', 'GPU-1'],
        },
      ],
      networks: [{ name: net.name, owner }],
      volumes: [],
    });
    await clear(engine, other);
  });
});

describe('logs', () => {
  test.concurrent('tell both streams in order, with their moments, and no more than was asked for', async () => {
    const { run } = scene();
    const { state } = await run('echo one; sleep 0.3; echo two >&2; sleep 0.3; printf three');
    const lines = await linesOf(engine, state.id);
    expect(lines.map(({ stream, line }) => [stream, line])).toEqual([
      ['stdout', 'one'],
      ['stderr', 'two'],
      ['stdout', 'three'],
    ]);
    const [first, second] = lines.map(({ atMs }) => atMs);
    expect(Math.abs((first ?? 0) - (state.startedAtMs ?? 0))).toBeLessThan(60_000);
    expect(second).toBeGreaterThan(first ?? Infinity);
    expect((await linesOf(engine, state.id, 1)).map(({ line }) => line)).toEqual(['three']);
    const since = [];
    const signal = new AbortController().signal;
    for await (const { line } of engine.logs(state.id, { tail: null, sinceMs: second ?? 0, follow: false, signal })) since.push(line);
    expect(since).toEqual(['two', 'three']);
  });

  test.concurrent('cut a long line, and read the next as it is', async () => {
    const { run } = scene();
    const { state } = await run('head -c 100000 /dev/zero | tr "\\0" x; echo; echo next');
    const lines = (await linesOf(engine, state.id)).map(({ line }) => line);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^x{16000,16384}…$/);
    expect(lines[1]).toBe('next');
  });

  test.concurrent('are followed until the unit ends, or until nobody wants them', async () => {
    const { owner } = scene();
    const id = await start(unitOf(owner, image, sh('echo a; sleep 0.2; echo b')));
    const followed = [];
    const never = new AbortController().signal;
    for await (const { line } of engine.logs(id, { tail: null, sinceMs: null, follow: true, signal: never })) followed.push(line);
    expect(followed).toEqual(['a', 'b']);
    const long = await start(unitOf(owner, image, { unit: 'long', ...sh('echo a; sleep 60') }));
    const ending = new AbortController();
    const seen = [];
    for await (const { line } of engine.logs(long, { tail: null, sinceMs: null, follow: true, signal: ending.signal })) {
      seen.push(line);
      ending.abort();
    }
    expect(seen).toEqual(['a']);
  });
});

test.concurrent('measurements grow with what a unit uses, and a unit that does not run has none', async () => {
  const { owner } = scene();
  const id = await start(unitOf(owner, image, sh('while :; do :; done')));
  const first = await engine.stats(id);
  expect(first).toMatchObject({ memoryLimitBytes: 64 * MIB });
  expect(first?.memoryBytes).toBeGreaterThan(0);
  expect(first?.memoryBytes).toBeLessThan(64 * MIB);
  for (let grown = 0n; grown < 20_000_000n;) grown = ((await engine.stats(id))?.cpuNs ?? 0n) - (first?.cpuNs ?? 0n);
  await engine.stopUnit(id, 0);
  expect(await engine.stats(id)).toBeNull();
});

test.concurrent('a command in a unit gives what it prints; one that fails, cannot start or has no unit gives nothing, and a slow one is left', async () => {
  const { owner } = scene();
  const id = await start(unitOf(owner, image, sh('sleep 600')));
  const capture = (script: string, timeoutMs = 20_000) => engine.capture(id, ['/bin/busybox', 'sh', '-c', script], timeoutMs);
  expect(await capture('echo "37, 1024, 4096"; echo aside >&2; echo 1')).toBe('37, 1024, 4096\n1\n');
  expect(await capture('echo 1; exit 3')).toBeNull();
  expect((await capture('yes | head -c 100000'))?.length).toBe(16_384);
  expect(await engine.capture(id, ['no-such-program'], 20_000)).toBeNull();
  await expect(capture('sleep 600', 300)).rejects.toMatchObject({ kind: 'timeout' });
  await engine.stopUnit(id, 0);
  expect(await capture('echo 1')).toBeNull();
  await engine.removeUnit(id);
  expect(await capture('echo 1')).toBeNull();
});

test.concurrent('an image stays while a unit uses it, is gone after, and is gone twice', async () => {
  const { owner } = scene();
  const own = imageOf(await registry.push({ name: 'acme/passing', command: ['true'], env: ['X=1'] }));
  expect(await engine.hasImage(own)).toBe(false);
  const progress: string[] = [];
  await engine.pull({ image: own, auth: null, signal: new AbortController().signal, onProgress: (line) => progress.push(line) });
  expect(progress.join('\n')).toContain(own.digest);
  expect(await engine.hasImage(own)).toBe(true);
  expect(await engine.hasImage({ ...own, repository: 'acme/other' })).toBe(false);
  const { id } = await engine.createUnit(unitOf(owner, own));
  expect(await engine.removeImage(own)).toBe(false);
  await engine.removeUnit(id);
  expect(await engine.removeImage(own)).toBe(true);
  expect(await engine.removeImage(own)).toBe(true);
  expect(await engine.hasImage(own)).toBe(false);
});

describe('a process in a unit', () => {
  const started = async (): Promise<string> => {
    const owner = ownerOf('e');
    owners.push(owner);
    return start(unitOf(owner, image));
  };
  const exec = (id: string, command: readonly string[], hasTerminal = false): Promise<UnitExec> =>
    engine.exec(id, { command, env: [{ name: 'GIVEN', value: 'by us' }], hasTerminal });
  const read = async (running: UnitExec): Promise<{ stdout: string; stderr: string }> => {
    const printed = { stdout: '', stderr: '' };
    for await (const { stream, bytes } of running.output) printed[stream] += Buffer.from(bytes).toString();
    return printed;
  };
  const ended = async (running: UnitExec): Promise<number> => {
    await waitUntil(async () => (await running.exitCode()) !== null);
    return (await running.exitCode()) ?? -1;
  };

  test.concurrent('reads what it is given until that ends, and both of its outputs are told apart', async () => {
    const running = await exec(await started(), ['sh', '-c', 'echo "$GIVEN" >&2; wc -c; exit 3']);
    expect(await running.exitCode()).toBeNull();
    for (let pieces = 0; pieces < 100; pieces += 1) await running.write(Buffer.alloc(32_768));
    running.endInput();
    expect(await read(running)).toEqual({ stdout: `${3_276_800}\n`, stderr: 'by us\n' });
    expect(await ended(running)).toBe(3);
  });

  test.concurrent('has a terminal of the size that it is given, and keeps it whatever is typed', async () => {
    const running = await exec(await started(), ['sh', '-c', 'read -r go; stty size; read -r keys; echo "[$keys]"'], true);
    await running.resize({ columns: 120, rows: 40 });
    await running.write(Buffer.from('\n'));
    // The keys by which an engine lets go of a terminal unless it is told others.
    await running.write(Buffer.from('\u0010\u0011typed\n'));
    const { stdout, stderr } = await read(running);
    expect(stdout).toContain('40 120\r\n');
    expect(stdout).toContain('typed]\r\n');
    expect([stderr, await ended(running)]).toEqual(['', 0]);
  });

  test.concurrent('that is not there says so; one goes on when it is let go of; a unit that is stopped or gone has none', async () => {
    const id = await started();
    const missing = await exec(id, ['no-such-program']);
    expect((await read(missing)).stdout).toContain('no-such-program');
    expect([126, 127]).toContain(await ended(missing));
    const left = await exec(id, ['sleep', '600']);
    left.close();
    await left.write(Buffer.from('lost'));
    expect(await left.exitCode()).toBeNull();
    await engine.stopUnit(id, 0);
    await expect(exec(id, ['true'])).rejects.toMatchObject({ kind: 'gone' });
    await engine.removeUnit(id);
    await expect(exec(id, ['true'])).rejects.toMatchObject({ kind: 'gone' });
  });
});
