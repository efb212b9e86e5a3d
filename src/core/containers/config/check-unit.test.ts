import { expect, test } from 'vitest';
import {
  accepted,
  CONFIG_DIGEST as DIGEST,
  CONFIG_IMAGE as IMAGE,
  violationsOf,
  withTop,
  withUnit,
  type Fields,
} from '../../../../test/support/container-config.ts';

const NAME = 'containers[0].name must have 1 to 63 letters, digits, `.`, `_` and `-`, and start and end with a letter or digit';
const VARIABLE = 'must be the name of a variable: letters, digits and `_`, at most 256, and no digit first';
const ENV_ITEM = 'must be a name, or a map of one name and its value';
const MOUNT = 'be an absolute path without `.`, `..`, `//`, a colon, a comma or a slash at its end, and not `/`';
const TMPFS =
  'must hold only rw, ro, exec, noexec, nosuid, nodev, noatime, mode, uid, gid, nr_inodes, size, as a mount takes them: size=64m,mode=1777';
const PORTS = 'must be a port of the host and one of the container from 1 to 65535, in quotes: "9000:9000"';
const SIZE = 'must be a size: a number of bytes, or one with a unit such as 512m or 1g';
const LENGTH = 'must be a length of time such as 5s, 1m30s or 500ms';
const TEST = 'containers[0].healthcheck.test must be [CMD, program, arguments...], [CMD-SHELL, one command line] or [NONE]';
const PRIVILEGED = 'must be left out: every container runs without privileges, capabilities and ways around that';
const RESTART = 'must be no, always, unless-stopped, on-failure, or on-failure:5 with a number of attempts';
const STOP = 'must be a whole number of seconds from 0 to 3600, or a length of time such as 30s';
const data = { volumes: [{ name: 'data' }, { name: 'more' }] };
const nets = { networks: { inner: null, out: { egress: 'open' }, list: { egress: 'allowlist' } } };
const gpus = { gpus: 2 };
const refused: readonly (readonly [Fields, string, Fields?])[] = [
  [{ name: null }, 'containers[0].name is required'],
  [{ name: 'a/b' }, NAME],
  [{ name: '-a' }, NAME],
  [{ name: 'a'.repeat(64) }, NAME],
  [{ image: null }, 'containers[0].image is required'],
  [
    { image: 'ghcr.io/acme/web:1' },
    'containers[0].image must name its digest: a tag alone may change, so write name@sha256:<64 hexadecimal digits>',
  ],
  [
    { image: `ghcr.io/acme/web@sha256:${'AB'.repeat(32)}` },
    'containers[0].image must end with @sha256: and 64 hexadecimal digits in lower case',
  ],
  [
    { image: `ghcr.io/Acme/web@${DIGEST}` },
    'containers[0].image is not an image name: parts of lower case letters, digits and single separators, at most 255 characters',
  ],
  [{ image: `x/${'a'.repeat(512)}@${DIGEST}` }, 'containers[0].image must have 1 to 512 characters'],
  [{ build: '.' }, 'containers[0].build is not a field that is known here'],
  [{ privileged: false }, `containers[0].privileged ${PRIVILEGED}`],
  [{ privileged: null }, `containers[0].privileged ${PRIVILEGED}`],
  [{ cap_drop: [] }, `containers[0].cap_drop ${PRIVILEGED}`],
  [{ security_opt: ['seccomp=unconfined'] }, `containers[0].security_opt ${PRIVILEGED}`],
  [{ pid: 'host' }, 'containers[0].pid must be left out: containers get nothing of the host'],
  [{ devices: ['/dev/kvm'] }, 'containers[0].devices must be left out: containers get nothing of the host'],
  [{ command: 'serve' }, 'containers[0].command must be a list'],
  [{ command: ['a', 1] }, 'containers[0].command[1] must be a text (put it in quotes)'],
  [{ command: ['a', null] }, 'containers[0].command[1] is required'],
  [{ command: ['a\u0000b'] }, 'containers[0].command[0] must not hold a NUL character or half of a character'],
  [{ entrypoint: ['\ud800'] }, 'containers[0].entrypoint[0] must not hold a NUL character or half of a character'],
  [{ entrypoint: ['x'.repeat(131_072)] }, 'containers[0].entrypoint[0] must have at most 131071 characters'],
  [{ entrypoint: Array.from({ length: 257 }, () => 'a') }, 'containers[0].entrypoint must have at most 256 items, and has 257'],
  [{ working_dir: 'srv' }, 'containers[0].working_dir must be an absolute path'],
  [{ user: 'a b' }, 'containers[0].user must be a user, or a user and a group, such as 1000:1000'],
  [{ user: '-1' }, 'containers[0].user must be a user, or a user and a group, such as 1000:1000'],
  [{ env: { A: 1 } }, 'containers[0].env must be a list'],
  [{ env: ['A=1'] }, `containers[0].env[0] ${VARIABLE}`],
  [{ env: ['1A'] }, `containers[0].env[0] ${VARIABLE}`],
  [{ env: ['A'.repeat(257)] }, `containers[0].env[0] ${VARIABLE}`],
  [{ env: [{ 'a-b': 1 }] }, `containers[0].env[0].a-b ${VARIABLE}`],
  [{ env: [{ A: 1, B: 2 }] }, `containers[0].env[0] ${ENV_ITEM}`],
  [{ env: [{}] }, `containers[0].env[0] ${ENV_ITEM}`],
  [{ env: [1] }, `containers[0].env[0] ${ENV_ITEM}`],
  [{ env: [null] }, `containers[0].env[0] ${ENV_ITEM}`],
  [{ env: [{ A: [] }] }, 'containers[0].env[0].A must be a text, a number, true or false'],
  [
    { env: [{ A: null }] },
    'containers[0].env[0].A must have a value; write the name alone where the value comes from the variables of the deployment',
  ],
  [{ env: [{ A: 1e300 }] }, 'containers[0].env[0].A is too large a number; put it in quotes'],
  [{ env: ['A', { A: 1 }] }, 'containers[0].env[1] is in the list already'],
  [{ secrets: ['kebab-name'] }, `containers[0].secrets[0] ${VARIABLE}`],
  [{ secrets: ['A', 'A'] }, 'containers[0].secrets[1] is in the list already'],
  [{ volumes: ['data'] }, 'containers[0].volumes[0] must be the name of a volume, a colon and a path, such as data:/var/lib/data', data],
  [{ volumes: ['/etc:/etc'] }, 'containers[0].volumes[0] must name a volume that is declared under volumes', data],
  [{ volumes: ['other:/data'] }, 'containers[0].volumes[0] must name a volume that is declared under volumes', data],
  [{ volumes: ['data:data'] }, `containers[0].volumes[0] has a path that must ${MOUNT}`, data],
  [{ volumes: ['data:/'] }, `containers[0].volumes[0] has a path that must ${MOUNT}`, data],
  [{ volumes: ['data:/a/../etc'] }, `containers[0].volumes[0] has a path that must ${MOUNT}`, data],
  [{ volumes: ['data:/a/./b'] }, `containers[0].volumes[0] has a path that must ${MOUNT}`, data],
  [{ volumes: ['data:/a//b'] }, `containers[0].volumes[0] has a path that must ${MOUNT}`, data],
  [{ volumes: ['data:/a/'] }, `containers[0].volumes[0] has a path that must ${MOUNT}`, data],
  [{ volumes: ['data:/a:ro'] }, `containers[0].volumes[0] has a path that must ${MOUNT}`, data],
  [{ volumes: ['data:/proc/sys'] }, 'containers[0].volumes[0] has a path that must not lie in /proc, /sys or /dev', data],
  [{ volumes: ['data:/a', 'more:/a'] }, 'containers[0].volumes[1] has a path that another volume of the container has', data],
  [{ tmpfs: ['/tmp'] }, 'containers[0].tmpfs must be a map'],
  [{ tmpfs: { tmp: '' } }, `containers[0].tmpfs.tmp has a path that must ${MOUNT}`],
  [{ tmpfs: { '/dev/shm': '' } }, 'containers[0].tmpfs["/dev/shm"] has a path that must not lie in /proc, /sys or /dev'],
  [{ tmpfs: { '/data': '' }, volumes: ['data:/data'] }, 'containers[0].tmpfs["/data"] has a path that a volume of the container has', data],
  [{ tmpfs: { '/tmp': 'suid' } }, `containers[0].tmpfs["/tmp"] ${TMPFS}`],
  [{ tmpfs: { '/tmp': 'size=0' } }, `containers[0].tmpfs["/tmp"] ${TMPFS}`],
  [{ tmpfs: { '/tmp': 'size=50%' } }, `containers[0].tmpfs["/tmp"] ${TMPFS}`],
  [{ tmpfs: { '/tmp': 'nr_inodes=0' } }, `containers[0].tmpfs["/tmp"] ${TMPFS}`],
  [{ tmpfs: { '/tmp': 'size=1m,size=2m' } }, 'containers[0].tmpfs["/tmp"] must name each option once'],
  [{ tmpfs: { '/tmp': '__proto__=1' } }, `containers[0].tmpfs["/tmp"] ${TMPFS}`],
  [
    { tmpfs: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`/t${n}`, null])) },
    'containers[0].tmpfs must have at most 64 entries, and has 65',
  ],
  [{ networks: ['gone'] }, 'containers[0].networks[0] must name a network that is declared under networks', nets],
  [{ networks: ['inner', 'inner'] }, 'containers[0].networks[1] is in the list already', nets],
  [{ networks: ['out', 'list'] }, 'containers[0].networks must name at most one network whose egress is not closed', nets],
  [{ ports: ['9000:80'] }, 'containers[0].ports needs a network: ports of a container without one cannot be reached'],
  [{ ports: ['80'], networks: ['out'] }, `containers[0].ports[0] ${PORTS}`, nets],
  [{ ports: [9000], networks: ['out'] }, `containers[0].ports[0] ${PORTS}`, nets],
  [{ ports: ['127.0.0.1:9000:80'], networks: ['out'] }, `containers[0].ports[0] ${PORTS}`, nets],
  [{ ports: ['0:80'], networks: ['out'] }, `containers[0].ports[0] ${PORTS}`, nets],
  [{ ports: ['65536:80'], networks: ['out'] }, `containers[0].ports[0] ${PORTS}`, nets],
  [{ ports: ['9000-9010:80'], networks: ['out'] }, `containers[0].ports[0] ${PORTS}`, nets],
  [{ ports: ['443:443'], networks: ['out'] }, 'containers[0].ports[0] must not take port 443 of the host, which is reserved', nets],
  [{ ports: ['80:8080'], networks: ['out'] }, 'containers[0].ports[0] must not take port 80 of the host, which is reserved', nets],
  [{ ports: ['2222:22'], networks: ['out'] }, 'containers[0].ports[0] must not take port 2222 of the host, which is reserved', nets],
  [
    { ports: ['9000:80', '9000:81'], networks: ['out'] },
    'containers[0].ports must not take port 9000 of the host twice in the configuration',
    nets,
  ],
  [{ runtime: 'runc', gpus: 1 }, 'containers[0].runtime must be nvidia', gpus],
  [{ runtime: 'nvidia' }, 'containers[0].gpus is required where runtime is nvidia', gpus],
  [{ gpus: 1 }, 'containers[0].runtime must be nvidia where gpus are given', gpus],
  [{ gpus: 1, runtime: 'nvidia' }, 'containers[0].gpus needs gpus of the whole configuration, which has none'],
  [
    { gpus: 3, runtime: 'nvidia' },
    'containers[0].gpus must be a whole number from 1 to 2, all, or numbers of GPUs in quotes, such as "0,1"',
    gpus,
  ],
  [
    { gpus: 0, runtime: 'nvidia' },
    'containers[0].gpus must be a whole number from 1 to 2, all, or numbers of GPUs in quotes, such as "0,1"',
    gpus,
  ],
  [
    { gpus: true, runtime: 'nvidia' },
    'containers[0].gpus must be a whole number from 1 to 2, all, or numbers of GPUs in quotes, such as "0,1"',
    gpus,
  ],
  [{ gpus: '0,0', runtime: 'nvidia' }, 'containers[0].gpus must name each GPU once', gpus],
  [{ gpus: '1,2', runtime: 'nvidia' }, 'containers[0].gpus must name GPUs from 0 to 1', gpus],
  [{ ipc: 'host' }, 'containers[0].ipc must be one of private, none'],
  [{ cap_add: ['SYS_ADMIN'] }, 'containers[0].cap_add[0] must be IPC_LOCK, NET_BIND_SERVICE or SYS_NICE'],
  [{ cap_add: ['ALL'] }, 'containers[0].cap_add[0] must be IPC_LOCK, NET_BIND_SERVICE or SYS_NICE'],
  [{ shm_size: '1x' }, `containers[0].shm_size ${SIZE}`],
  [{ shm_size: 0 }, 'containers[0].shm_size must be from 1 to 64t, in bytes where no unit is given'],
  [{ memory: 'lots' }, `containers[0].memory ${SIZE}`],
  [{ memory: true }, `containers[0].memory ${SIZE}`],
  [{ memory: 512 }, 'containers[0].memory must be from 6m to 64t, in bytes where no unit is given'],
  [{ memory: '65t' }, 'containers[0].memory must be from 6m to 64t, in bytes where no unit is given'],
  [{ cpus: 0 }, 'containers[0].cpus must be a number from 0.01 to 1024'],
  [{ cpus: '1' }, 'containers[0].cpus must be a number from 0.01 to 1024'],
  [{ read_only: 'yes' }, 'containers[0].read_only must be true or false'],
  [{ pids_limit: 0 }, 'containers[0].pids_limit must be a whole number from 1 to 4194304'],
  [{ pids_limit: -1 }, 'containers[0].pids_limit must be a whole number from 1 to 4194304'],
  [{ restart: false }, `containers[0].restart ${RESTART}`],
  [{ restart: 'always:3' }, `containers[0].restart ${RESTART}`],
  [{ restart: 'on-failure:0' }, `containers[0].restart ${RESTART}`],
  [{ stop_signal: 'SIGFOO' }, 'containers[0].stop_signal must be the name of a signal, such as SIGTERM'],
  [{ stop_timeout: -1 }, `containers[0].stop_timeout ${STOP}`],
  [{ stop_timeout: '500ms' }, `containers[0].stop_timeout ${STOP}`],
  [{ stop_timeout: '2h' }, `containers[0].stop_timeout ${STOP}`],
  [{ healthcheck: [] }, 'containers[0].healthcheck must be a map'],
  [{ healthcheck: { disable: true } }, 'containers[0].healthcheck.disable is not a field that is known here'],
  [{ healthcheck: { test: 'curl x' } }, 'containers[0].healthcheck.test must be a list'],
  [{ healthcheck: { test: ['curl', 'x'] } }, TEST],
  [{ healthcheck: { test: ['CMD'] } }, TEST],
  [{ healthcheck: { test: ['CMD-SHELL', 'a', 'b'] } }, TEST],
  [{ healthcheck: { test: ['NONE', 'a'] } }, TEST],
  [
    { healthcheck: { test: Array.from({ length: 65 }, () => 'CMD') } },
    'containers[0].healthcheck.test must have at most 64 items, and has 65',
  ],
  [{ healthcheck: { interval: 5 } }, `containers[0].healthcheck.interval ${LENGTH}`],
  [{ healthcheck: { interval: '0s' } }, 'containers[0].healthcheck.interval must be from 1ms to 24h'],
  [{ healthcheck: { timeout: '25h' } }, 'containers[0].healthcheck.timeout must be from 1ms to 24h'],
  [{ healthcheck: { retries: 0 } }, 'containers[0].healthcheck.retries must be a whole number from 1 to 100'],
  [{ healthcheck: { start_period: '-5s' } }, `containers[0].healthcheck.start_period ${LENGTH}`],
  [{ healthcheck: { start_period: '25h' } }, 'containers[0].healthcheck.start_period must be at most 24h'],
];
test.each(refused.map(([fields, violation, top]) => [fields, violation, top ?? {}] as const))('%j', (fields, violation, top) => {
  expect(violationsOf(withUnit(fields, top))).toStrictEqual([violation]);
});

test('two containers cannot take the same port of the host', () => {
  const unit = { image: IMAGE, networks: ['out'] };
  const containers = [
    { ...unit, name: 'a', ports: ['9000:80'] },
    { ...unit, name: 'b', ports: ['9001:80', '9000:81'] },
  ];
  expect(violationsOf(withTop({ ...nets, containers }))).toStrictEqual([
    'containers[1].ports must not take port 9000 of the host twice in the configuration',
  ]);
});

test('ports of a container that is not served need a network that is open', () => {
  const containers = [
    { name: 'web', image: IMAGE, networks: ['inner'], ports: ['9000:80'] },
    { name: 'side', image: IMAGE, networks: ['inner'], ports: ['9001:80'] },
  ];
  expect(violationsOf(withTop({ ...nets, containers }))).toStrictEqual([
    'containers[1].ports cannot be published: a container that is not served needs a network with egress open for it',
  ]);
});

const taken: readonly (readonly [Fields, Fields, Fields?])[] = [
  [{ gpus: 2, runtime: 'nvidia' }, { gpus: 2 }, gpus],
  [{ gpus: 'all', runtime: 'nvidia' }, { gpus: 'all' }, gpus],
  [{ gpus: '1', runtime: 'nvidia' }, { gpus: ['1'] }, gpus],
  [
    { healthcheck: { test: ['NONE'] } },
    { healthcheck: { test: ['NONE'], intervalMs: 30_000, timeoutMs: 30_000, retries: 3, startPeriodMs: 0 } },
  ],
  [
    { healthcheck: { start_period: '0' } },
    { healthcheck: { test: [], intervalMs: 30_000, timeoutMs: 30_000, retries: 3, startPeriodMs: 0 } },
  ],
  [{ restart: 'no' }, { restart: { name: 'no', maximumRetries: 0 } }],
  [{ restart: 'always' }, { restart: { name: 'always', maximumRetries: 0 } }],
  [{ restart: 'on-failure' }, { restart: { name: 'on-failure', maximumRetries: 0 } }],
  [{ stop_signal: 'RTMIN+3' }, { stopSignal: 'RTMIN+3' }],
  [
    { env: ['__proto__', { constructor: 'x' }] },
    {
      env: [
        { name: '__proto__', value: null },
        { name: 'constructor', value: 'x' },
      ],
    },
  ],
  [{ memory: 6291456 }, { memoryBytes: 6291456 }],
  [{ command: [] }, { command: [] }],
];
test.each(taken.map(([fields, unit, top]) => [fields, unit, top ?? {}] as const))('%j is taken', (fields, unit, top) => {
  expect(accepted(withUnit(fields, top)).config.units[0]).toMatchObject(unit);
});
