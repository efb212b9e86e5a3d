import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { ClientChannel } from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EngineFault, type ExecOutput } from '../../src/ports/container-engine.ts';
import { makeSshClient, type SshCall, type SshClient, type SshRun } from '../support/ssh-client.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startGateway, startLocally, type GatewayStage } from './stage.ts';

/** Far longer than anything takes, on a machine that does much else. */
const SLOW_MS = 60_000;
const MIB = 1024 * 1024;

let client: SshClient;
let stage: GatewayStage;
let keys: { readonly ann: string; readonly ecdsa: string; readonly rsa: string; readonly foreign: string };
const others: GatewayStage[] = [];

async function open(options: Parameters<typeof startGateway>[0] = {}): Promise<GatewayStage> {
  const made = await startGateway(options);
  others.push(made);
  made.users.set('web.acme', [client.publicKey(keys.ann), client.publicKey(keys.ecdsa), client.publicKey(keys.rsa)]);
  made.users.set('web.other', [client.publicKey(keys.foreign)]);
  return made;
}

beforeAll(async () => {
  client = makeSshClient();
  keys = { ann: client.key('ann'), ecdsa: client.key('ecdsa', 'ecdsa'), rsa: client.key('rsa', 'rsa'), foreign: client.key('foreign') };
  stage = await open();
}, SLOW_MS);
afterEach(() => void (stage.start = startLocally));
afterAll(async () => {
  await Promise.all(others.map((one) => one.stop()));
  client.stop();
}, SLOW_MS);

const ssh = (call: Partial<SshCall>, at = stage): Promise<SshRun> => client.run(at.port, { user: 'web.acme', key: keys.ann, ...call });
const DENIED = 'Permission denied (publickey)';

describe('a command', () => {
  test('has its output, its errors and its status', async () => {
    const { status, stdout, stderr } = await ssh({ command: 'echo "$0 out"; echo err >&2; exit 7' });
    expect([status, stdout.toString(), stderr]).toEqual([7, 'sh out\n', 'err\n']);
    expect(stage.opened.at(-1)).toMatchObject({ containerId: 'web.acme', kind: 'command', hasTerminal: false });
    await waitUntil(async () => stage.ended.length === stage.opened.length);
    expect(stage.ended.at(-1)).toEqual({ reason: 'exit', exitCode: 7, bytesIn: 0, bytesOut: 11 });
  });

  test('is given what is piped into it, whole, and the end of it; both ways it waits for whoever is slow', async () => {
    const input = Buffer.alloc(10 * MIB, 'castellan ');
    const { status, stdout } = await ssh({ command: 'cat', input });
    expect([status, stdout.equals(input)]).toEqual([0, true]);
  });

  test('goes on while the keys of the connection are changed', async () => {
    const input = Buffer.alloc(6 * MIB, 'castellan ');
    const { status, stdout } = await ssh({ args: ['-o', 'RekeyLimit=1M'], command: 'cat', input });
    expect([status, stdout.equals(input)]).toEqual([0, true]);
  });

  test(
    'that nobody reads is not read either, and is whole once somebody does',
    async () => {
      const written = 64 * MIB;
      let taken = 0;
      stage.start = (spec) => {
        const exec = startLocally(spec);
        async function* counted() {
          for await (const piece of exec.output) {
            taken += piece.bytes.length;
            yield piece;
          }
        }
        return { ...exec, output: counted() };
      };
      const reading = Promise.withResolvers<void>();
      const run = client.start(stage.port, {
        user: 'web.acme',
        key: keys.ann,
        command: `head -c ${written} /dev/zero`,
        readAfter: reading.promise,
      });
      let before = -1;
      await waitUntil(async () => {
        const isStill = taken > 0 && taken === before;
        before = taken;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return isStill;
      }, SLOW_MS);
      expect(taken).toBeLessThan(written / 4);
      reading.resolve();
      expect((await run.done).stdout.length).toBe(written);
    },
    SLOW_MS,
  );

  test(
    'hears the signals of its client',
    async () => {
      const { default: ssh2 } = await import('ssh2');
      const connection = new ssh2.Client();
      const ready = once(connection, 'ready');
      connection.connect({ host: '127.0.0.1', port: stage.port, username: 'web.acme', privateKey: readFileSync(keys.ann) });
      await ready;
      const command = 'trap "echo heard; exit 4" USR1; echo ready; while :; do sleep 0.02; done';
      const channel = await new Promise<ClientChannel>((resolve, reject) =>
        connection.exec(command, (err, made) => (err === undefined ? resolve(made) : reject(err))),
      );
      let printed = '';
      channel.on('data', (bytes: Buffer) => (printed += bytes.toString()));
      await waitUntil(async () => printed === 'ready\n', SLOW_MS);
      channel.signal('USR1');
      expect(await once(channel, 'exit')).toEqual([4]);
      connection.end();
      await waitUntil(async () => printed === 'ready\nheard\n');
    },
    SLOW_MS,
  );

  test('is given of the environment the language only', async () => {
    const env = { args: ['-o', 'SetEnv=LC_ALL=de_DE.UTF-8 PATH=/nowhere LD_PRELOAD=/x FOO=bar'] };
    const { stdout } = await ssh({ ...env, command: 'echo "$LC_ALL|$LD_PRELOAD|$FOO"; command -v sh >/dev/null && echo path' });
    expect(stdout.toString()).toBe('de_DE.UTF-8||\npath\n');
  });

  test('that cannot be told apart from a broken unit says so', async () => {
    stage.start = (spec) => startLocally({ ...spec, command: ['sh', '-c', 'echo no such program; exit 127'] });
    const { status, stderr } = await ssh({ command: 'true' });
    expect([status, stderr]).toEqual([127, 'castellan: the unit has no shell: there is no program named sh in its image\r\n']);
    expect(stage.log.lines.at(-1)).toMatchObject({ level: 'warn' });
  });
});

test('a host that breaks away in the middle ends the session, and its owner is told no more than that', async () => {
  stage.start = (spec) => {
    const exec = startLocally(spec);
    async function* breaking(): AsyncGenerator<ExecOutput> {
      for await (const piece of exec.output) {
        yield piece;
        if (Buffer.from(piece.bytes).includes('begun')) break;
      }
      throw new EngineFault({ kind: 'unreachable', message: 'secret-host: reset', publicMessage: 'The host cannot be reached.' });
    }
    return { ...exec, output: breaking() };
  };
  const { status, stdout, stderr } = await ssh({ command: 'echo begun; sleep 600' });
  expect([status, stdout.toString(), stderr]).toEqual([255, 'begun\n', 'castellan: The host cannot be reached.\r\n']);
  await waitUntil(async () => stage.ended.length === stage.opened.length, SLOW_MS);
  expect(stage.ended.at(-1)).toMatchObject({ reason: 'failed', exitCode: null });
});

test('a shell without a terminal reads commands', async () => {
  const { status, stdout } = await ssh({ args: ['-T'], input: 'echo in a shell\nexit 3\n' });
  expect([status, stdout.toString()]).toEqual([3, 'in a shell\n']);
  expect(stage.opened.at(-1)).toMatchObject({ kind: 'shell' });
});

test('what a client leaves behind is ended, and noted', async () => {
  const left = client.start(stage.port, { user: 'web.acme', key: keys.ann, command: 'echo $$; sleep 600' });
  await waitUntil(async () => /^\d+\n/.test(left.printed()));
  const pid = Number(left.printed());
  const before = stage.ended.length;
  left.kill();
  await waitUntil(async () => stage.ended.length > before, SLOW_MS);
  expect(stage.ended.at(-1)).toMatchObject({ reason: 'disconnected', exitCode: null });
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

describe('who is let in', () => {
  test.each(['ann', 'ecdsa', 'rsa'] as const)('the owner of a key that the container names: %s', async (name) => {
    expect(await ssh({ key: keys[name], command: 'true' })).toMatchObject({ status: 0 });
  });

  test.each([
    ['a foreign key', { key: 'foreign' }],
    ["another tenant's container", { user: 'web.other' }],
    ['a container that is not there', { user: 'none.acme' }],
    ['no container', { user: 'root' }],
    ['a long name', { user: 'x'.repeat(3000) }],
    ['SHA-1 under a good RSA key', { key: 'rsa', args: ['-o', 'PubkeyAcceptedAlgorithms=ssh-rsa'] }],
    ['a password', { args: ['-o', 'PubkeyAuthentication=no', '-o', 'PreferredAuthentications=password,keyboard-interactive'] }],
  ] as const)('not %s', async (_what, given) => {
    const at = await open();
    const key = 'key' in given ? keys[given.key] : keys.ann;
    const { status, stderr, stdout } = await ssh({ ...given, key, command: 'echo in' }, at);
    expect([status, stdout.toString(), at.opened]).toEqual([255, '', []]);
    if ('user' in given && given.user.length > 1000) return;
    expect(stderr).toContain(DENIED);
  });

  test('nobody by a weak algorithm', async () => {
    for (const weak of [
      ['-o', 'KexAlgorithms=diffie-hellman-group14-sha1'],
      ['-o', 'KexAlgorithms=diffie-hellman-group1-sha1'],
      ['-c', 'aes128-cbc'],
      ['-c', 'aes256-ctr', '-m', 'hmac-sha1'],
      ['-o', 'HostKeyAlgorithms=ssh-rsa'],
    ]) {
      const { status, stderr } = await ssh({ args: ['-v', ...weak], command: 'true' });
      expect([weak, status]).toEqual([weak, 255]);
      expect(stderr).toMatch(/no matching (?:key exchange method|cipher|MAC|host key type) found/);
    }
  });

  test('what is refused is counted and logged by its reason, without the name that was given', async () => {
    const at = await open();
    await ssh({ user: 'secret-password', key: keys.foreign, command: 'true' }, at);
    expect([at.refused, at.log.lines.map(({ level }) => level)]).toEqual([['key'], ['info']]);
    expect(JSON.stringify(at.log.lines)).not.toContain('secret-password');
  });
});

test(
  'many tries are slowed and end the connection; a good key is never kept waiting',
  async () => {
    const at = await open({ limits: { maxTries: 2 } });
    const wrong = [1, 2].map((number) => client.key(`wrong-${number}`));
    const args = wrong.flatMap((file) => ['-i', file]);
    const first = await ssh({ key: keys.foreign, args, command: 'true' }, at);
    expect(first.status).toBe(255);
    expect(at.refused).toEqual(['key', 'key', 'tries']);
    const startedMs = performance.now();
    await ssh({ key: keys.foreign, args, command: 'true' }, at);
    // Three are answered at once, the fourth after half a second.
    expect(performance.now() - startedMs).toBeGreaterThan(450);
    expect(await ssh({ command: 'true' }, at)).toMatchObject({ status: 0 });
  },
  SLOW_MS,
);

describe('what a session is not', () => {
  test.each([
    ['a subsystem', ['-s'], 'sftp'],
    ['an unknown subsystem', ['-s'], 'netconf'],
  ])('%s', async (_what, args, command) => {
    expect(await ssh({ args, command })).toMatchObject({ status: 255 });
  });

  test('a way to other ports, from either side', async () => {
    const listener = createServer();
    await new Promise<void>((resolve) => void listener.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    const reached: Socket[] = [];
    listener.on('connection', (socket) => void reached.push(socket));
    const { status, stderr } = await ssh({ args: ['-W', `127.0.0.1:${port}`] });
    expect([status, stderr]).toEqual([255, expect.stringContaining('forwarding failed')]);
    const back = await ssh({ args: ['-o', 'ExitOnForwardFailure=yes', '-R', '0:127.0.0.1:1'], command: 'true' });
    expect(back).toMatchObject({ status: 255, stderr: expect.stringContaining('forwarding failed') as string });
    listener.close();
    expect(reached).toEqual([]);
  });

  test('more of them than there may be on a connection', async () => {
    const at = await open({ limits: { maxSessions: 0 } });
    expect(await ssh({ command: 'true' }, at)).toMatchObject({ status: 255 });
    expect(at.opened).toEqual([]);
  });
});

describe('forwarding, where it is declared', () => {
  test('reaches ports of the unit and of nothing else', async () => {
    const at = await open({ isForwarding: true });
    const echo = createServer((socket) => void socket.pipe(socket));
    await new Promise<void>((resolve) => void echo.listen(0, '127.0.0.1', resolve));
    const { port } = echo.address() as AddressInfo;
    const { stdout } = await ssh({ args: ['-W', `localhost:${port}`], input: 'there and back' }, at);
    expect(stdout.toString()).toBe('there and back');
    expect(at.opened).toMatchObject([{ kind: 'forward' }]);
    for (const target of ['10.0.0.1:80', '169.254.169.254:80', 'example.com:443', '0.0.0.0:22', '[::]:22']) {
      expect(await ssh({ args: ['-W', target] }, at)).toMatchObject({ status: 255 });
    }
    expect(at.refused).toEqual(Array.from({ length: 5 }, () => 'forwarding'));
    echo.close();
  });
});

describe('an open connection', () => {
  const begin = async (at: GatewayStage) => {
    const shell = client.start(at.port, { user: 'web.acme', key: keys.ann, command: 'echo ready; sleep 600' });
    await waitUntil(async () => shell.printed().includes('ready'), SLOW_MS);
    return shell;
  };

  test(
    'ends when access does, and its owner is told',
    async () => {
      const at = await open();
      const shell = await begin(at);
      await at.gateway.recheck();
      at.against = 'key';
      await at.gateway.recheck();
      expect(await shell.done).toMatchObject({
        status: 255,
        stderr: expect.stringContaining('access to the container has ended') as string,
      });
      await waitUntil(async () => at.ended.length === 1);
      expect(at.ended).toMatchObject([{ reason: 'revoked', exitCode: null }]);
      // Also where it begins only then.
      const { status, stderr } = await ssh({ command: 'echo in' }, at);
      expect([status, stderr]).toEqual([255, 'castellan: not any more\r\n']);
    },
    SLOW_MS,
  );

  test(
    'ends when it was idle for too long',
    async () => {
      const at = await open({ limits: { idleMs: 1500 } });
      const shell = await begin(at);
      expect(await shell.done).toMatchObject({ status: 255, stderr: expect.stringContaining('idle for too long') as string });
    },
    SLOW_MS,
  );

  test(
    'ends when the gateway stops, and its end is noted before that is over',
    async () => {
      const at = await open();
      const shell = await begin(at);
      at.gateway.endAll();
      await at.gateway.ended();
      expect(at.ended).toMatchObject([{ reason: 'stopped' }]);
      expect(await shell.done).toMatchObject({ status: 255, stderr: expect.stringContaining('the gateway stops') as string });
      expect(await ssh({ command: 'true' }, at)).toMatchObject({ status: 255 });
    },
    SLOW_MS,
  );
});

describe('connections', () => {
  const dial = async (at: GatewayStage): Promise<Socket> => {
    const socket = connect(at.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await new Promise((resolve) => void socket.once('connect', resolve));
    return socket;
  };
  const isClosed = (socket: Socket): Promise<unknown> => new Promise((resolve) => void socket.once('close', resolve).resume());

  test('that nobody authenticates are closed in time', async () => {
    const at = await open({ limits: { authMs: 300 } });
    await isClosed(await dial(at));
    expect(at.refused).toEqual(['time']);
  });

  test('of one source, and in all, are no more than there may be; one that ends makes room', async () => {
    const at = await open({ limits: { maxPerSource: 2 } });
    const [one] = [await dial(at), await dial(at)];
    await isClosed(await dial(at));
    expect(at.refused).toEqual(['connections']);
    one.destroy();
    await isClosed(one);
    await waitUntil(async () => (await ssh({ command: 'true' }, at)).status === 0, SLOW_MS);
  });

  test('that speak something else, or nothing that can be read, harm nobody', async () => {
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', 'SSH-2.0-x\r\n'.padEnd(70_000, 'A'), `SSH-1.0-old\r\n`, Buffer.alloc(100_000, 255)]) {
      const socket = await dial(stage);
      socket.end(bytes);
      await isClosed(socket);
    }
    expect(await ssh({ command: 'true' })).toMatchObject({ status: 0 });
  });
});
