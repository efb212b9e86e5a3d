import { describe, expect, test } from 'vitest';
import {
  accepted,
  CONFIG_DIGEST as DIGEST,
  CONFIG_IMAGE as IMAGE,
  MINIMAL_CONFIG as MINIMAL,
  violationsOf,
  withShim,
  withTop,
  withUnit,
  type Fields,
} from '../../../../test/support/container-config.ts';
import type { PlainJson } from '../../json/plain-json.ts';
import { MAX_FINDINGS } from './findings.ts';

test('the least configuration is filled in with what the schema says of fields that are left out', () => {
  expect(accepted(MINIMAL)).toStrictEqual({
    ok: true,
    runsTwice: true,
    warnings: [],
    config: {
      cvmVersion: null,
      cpus: null,
      memoryMb: null,
      gpus: 0,
      networks: [],
      volumes: [],
      units: [
        {
          name: 'web',
          image: IMAGE,
          digest: DIGEST,
          command: null,
          entrypoint: null,
          workingDir: null,
          user: null,
          env: [],
          secrets: [],
          volumes: [],
          networks: [],
          ports: [],
          gpus: null,
          ipc: null,
          capAdd: [],
          shmBytes: null,
          memoryBytes: null,
          cpus: null,
          tmpfs: [],
          readOnly: true,
          pidsLimit: 65536,
          restart: { name: 'no', maximumRetries: 0 },
          stopSignal: null,
          stopTimeoutS: null,
          healthcheck: null,
        },
      ],
      shim: {
        upstreamUnit: 'web',
        upstreamPort: 8080,
        paths: [],
        origins: null,
        authenticated: false,
        authenticatedEndpoints: null,
        rateLimit: null,
        rateBurst: null,
      },
    },
  });
});

test('every field is read', () => {
  const value = {
    cpus: 8,
    memory: 16384,
    gpus: 2,
    networks: { inner: null, out: { egress: 'open' }, some: { egress: 'allowlist', allow: ['api.example.com', 'localhost'] } },
    volumes: [{ name: 'data', exec: true, owner: 1000, overlays: [] }],
    'vault-url': '',
    'attested-keys': [],
    models: [],
    containers: [
      {
        name: 'web',
        image: `registry.example:5000/a/b:1.2@${DIGEST}`,
        command: ['serve', '--port=80'],
        entrypoint: ['/bin/app'],
        working_dir: '/srv',
        user: '1000:1000',
        env: ['TOKEN', { MODE: 'fast' }, { WORKERS: 4 }, { DEBUG: false }, { EMPTY: '' }],
        secrets: ['API_KEY'],
        models: [],
        volumes: ['data:/var/lib/data'],
        networks: ['inner', 'out'],
        ports: ['9000:80'],
        runtime: 'nvidia',
        gpus: '0,1',
        ipc: 'none',
        cap_add: ['IPC_LOCK', 'SYS_NICE'],
        shm_size: '1g',
        memory: '512m',
        cpus: 1.5,
        tmpfs: { '/tmp': 'size=64m,mode=1777', '/run': null },
        read_only: false,
        pids_limit: 100,
        pid: '',
        devices: [],
        restart: 'on-failure:5',
        stop_signal: 'SIGINT',
        stop_timeout: '1m30s',
        healthcheck: { test: ['CMD', '/bin/check'], interval: '5s', timeout: '500ms', retries: 4, start_period: '1m30s' },
      },
      { name: 'side', image: `busybox@${DIGEST}`, networks: ['some'], restart: 'unless-stopped', stop_timeout: 3 },
    ],
    shim: {
      'upstream-container': 'web',
      'upstream-port': 80,
      paths: ['/v1/chat*', '/health'],
      origins: ['https://app.example.com'],
      authenticated: true,
      'authenticated-endpoints': [],
      'rate-limit': 2.5,
      'rate-burst': 10,
    },
  };
  const { config, runsTwice } = accepted(value);
  expect(config).toMatchObject({ cpus: 8, memoryMb: 16384, gpus: 2, volumes: [{ name: 'data', exec: true, owner: 1000 }] });
  expect(config.networks).toStrictEqual([
    { name: 'inner', egress: 'closed', allow: [] },
    { name: 'out', egress: 'open', allow: [] },
    { name: 'some', egress: 'allowlist', allow: ['api.example.com', 'localhost'] },
  ]);
  expect(config.units[0]).toStrictEqual({
    name: 'web',
    image: `registry.example:5000/a/b:1.2@${DIGEST}`,
    digest: DIGEST,
    command: ['serve', '--port=80'],
    entrypoint: ['/bin/app'],
    workingDir: '/srv',
    user: '1000:1000',
    env: [
      { name: 'TOKEN', value: null },
      { name: 'MODE', value: 'fast' },
      { name: 'WORKERS', value: '4' },
      { name: 'DEBUG', value: 'false' },
      { name: 'EMPTY', value: '' },
    ],
    secrets: ['API_KEY'],
    volumes: [{ name: 'data', path: '/var/lib/data' }],
    networks: ['inner', 'out'],
    ports: [{ hostPort: 9000, containerPort: 80 }],
    gpus: ['0', '1'],
    ipc: 'none',
    capAdd: ['IPC_LOCK', 'SYS_NICE'],
    shmBytes: 1024 ** 3,
    memoryBytes: 512 * 1024 ** 2,
    cpus: 1.5,
    tmpfs: [
      { path: '/tmp', options: 'size=64m,mode=1777' },
      { path: '/run', options: '' },
    ],
    readOnly: false,
    pidsLimit: 100,
    restart: { name: 'on-failure', maximumRetries: 5 },
    stopSignal: 'SIGINT',
    stopTimeoutS: 90,
    healthcheck: { test: ['CMD', '/bin/check'], intervalMs: 5000, timeoutMs: 500, retries: 4, startPeriodMs: 90_000 },
  });
  expect(config.units[1]).toMatchObject({ restart: { name: 'unless-stopped', maximumRetries: 0 }, stopTimeoutS: 3 });
  expect(config.shim).toStrictEqual({
    upstreamUnit: 'web',
    upstreamPort: 80,
    paths: ['/v1/chat*', '/health'],
    origins: ['https://app.example.com'],
    authenticated: true,
    authenticatedEndpoints: [],
    rateLimit: 2.5,
    rateBurst: 10,
  });
  expect(runsTwice).toBe(false);
});

describe('of the whole file', () => {
  test.each<readonly [PlainJson, string]>([
    [null, 'tinfoil-config.yml must be a map of fields'],
    [[], 'tinfoil-config.yml must be a map of fields'],
    ['text', 'tinfoil-config.yml must be a map of fields'],
    [withTop({ container: [] }), 'container is not a field that is known here'],
    [JSON.parse('{"__proto__":{"shim":1}}') as PlainJson, '__proto__ is not a field that is known here'],
    [withTop({ 'a b"\n': 1 }), '["a b\\"\\n"] is not a field that is known here'],
    [{ containers: MINIMAL.containers }, 'shim is required'],
    [{ shim: MINIMAL.shim }, 'containers is required'],
    [withTop({ containers: [] }), 'containers must have at least one entry'],
    [withTop({ containers: {} }), 'containers must be a list'],
    [withTop({ containers: ['web'] }), 'containers[0] must be a map'],
    [
      withTop({ containers: Array.from({ length: 65 }, (_, n) => ({ name: `u${n}`, image: IMAGE })) }),
      'containers must have at most 64 items, and has 65',
    ],
    [withTop({ containers: [...MINIMAL.containers, ...MINIMAL.containers] }), 'containers[1].name is the name of an entry before it'],
    [withTop({ cpus: 1.5 }), 'cpus must be a whole number from 1 to 1024'],
    [withTop({ cpus: '2' }), 'cpus must be a whole number from 1 to 1024'],
    [withTop({ cpus: true }), 'cpus must be a whole number from 1 to 1024'],
    [withTop({ memory: 0 }), 'memory must be a whole number from 6 to 67108864'],
    [withTop({ memory: '512m' }), 'memory must be a whole number from 6 to 67108864'],
    [withTop({ gpus: 9 }), 'gpus must be a whole number from 0 to 8'],
    [withTop({ gpus: -1 }), 'gpus must be a whole number from 0 to 8'],
    [withTop({ 'cvm-version': 1 }), 'cvm-version must be a text (put it in quotes)'],
    [withTop({ 'shim-version': [] }), 'shim-version must be a text (put it in quotes)'],
    [withTop({ 'vault-url': 'https://vault.example' }), 'vault-url must be left out: secrets come from this server and not from elsewhere'],
    [
      withTop({ 'keyserver-url': 'https://k.example' }),
      'keyserver-url must be left out: secrets come from this server and not from elsewhere',
    ],
    [withTop({ 'attested-keys': [{}] }), 'attested-keys must be left out: secrets come from this server and not from elsewhere'],
    [withTop({ 'cvm-network': { ports: [] } }), 'cvm-network.ports is not a field that is known here'],
    [withTop({ 'cvm-network': { 'inbound-ports': [0] } }), 'cvm-network.inbound-ports[0] must be a whole number from 1 to 65535'],
    [
      withTop({ 'cvm-network': { 'inbound-ports': Array.from({ length: 65 }, () => 1) } }),
      'cvm-network.inbound-ports must have at most 64 items, and has 65',
    ],
  ])('%j', (value, violation) => {
    expect(violationsOf(value)).toContain(violation);
  });
});

describe('networks', () => {
  const NAME = 'must have a name of 1 to 15 lower-case letters, digits and hyphens that starts and ends with a letter or digit';
  const HOST = 'must be a plain host name, without a wildcard or port, and no IP address';
  const allow = (...hosts: PlainJson[]): PlainJson => withTop({ networks: { a: { egress: 'allowlist', allow: hosts } } });
  test.each<readonly [PlainJson, string]>([
    [withTop({ networks: [] }), 'networks must be a map'],
    [withTop({ networks: { 'sixteen-letters-': null } }), `networks.sixteen-letters- ${NAME}`],
    [withTop({ networks: { 'a-name-of-16-let': null } }), `networks.a-name-of-16-let ${NAME}`],
    [withTop({ networks: { '-a': null } }), `networks.-a ${NAME}`],
    [withTop({ networks: { A: null } }), `networks.A ${NAME}`],
    [withTop({ networks: { '': null } }), `networks[""] ${NAME}`],
    [withTop({ networks: { 'shim-net': null } }), 'networks.shim-net must not be called shim-net, which is the network of the shim'],
    [withTop({ networks: { a: 'open' } }), 'networks.a must be a map'],
    [withTop({ networks: { a: { driver: 'host' } } }), 'networks.a.driver is not a field that is known here'],
    [withTop({ networks: { a: { egress: 'all' } } }), 'networks.a.egress must be one of closed, allowlist, open'],
    [withTop({ networks: { a: { egress: 'open', allow: [] } } }), 'networks.a.allow goes with egress allowlist only'],
    [withTop({ networks: { a: { allow: ['x.example'] } } }), 'networks.a.allow goes with egress allowlist only'],
    [
      withTop({ networks: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`n${n}`, null])) }),
      'networks must have at most 32 entries, and has 33',
    ],
    [allow('*.example.com'), `networks.a.allow[0] ${HOST}`],
    [allow('a.example', '10.0.0.1'), `networks.a.allow[1] ${HOST}`],
    [allow('127.1'), `networks.a.allow[0] ${HOST}`],
    [allow('0x7f000001'), `networks.a.allow[0] ${HOST}`],
    [allow('::1'), `networks.a.allow[0] ${HOST}`],
    [allow('example.com:443'), `networks.a.allow[0] ${HOST}`],
    [allow('https://example.com'), `networks.a.allow[0] ${HOST}`],
    [allow('example..com'), `networks.a.allow[0] ${HOST}`],
    [allow(`${'a'.repeat(64)}.com`), `networks.a.allow[0] ${HOST}`],
    [allow(...Array.from({ length: 257 }, () => 'a.example')), 'networks.a.allow must have at most 256 items, and has 257'],
  ])('%j', (value, violation) => {
    expect(violationsOf(value)).toContain(violation);
  });

  test('names of 1 and of 15 characters are taken', () => {
    expect(accepted(withTop({ networks: { a: null, 'fifteen-letters': {} } })).config.networks).toHaveLength(2);
  });
});

describe('volumes and models', () => {
  const volumes = (count: number): PlainJson[] => Array.from({ length: count }, (_, n) => ({ name: `v${n}` }));
  test.each<readonly [PlainJson, string]>([
    [withTop({ volumes: {} }), 'volumes must be a list'],
    [withTop({ volumes: [null] }), 'volumes[0] is required'],
    [withTop({ volumes: [{}] }), 'volumes[0].name is required'],
    [
      withTop({ volumes: [{ name: 'Data' }] }),
      'volumes[0].name must have 1 to 63 lower-case letters, digits and hyphens, and start with a letter',
    ],
    [
      withTop({ volumes: [{ name: '../x' }] }),
      'volumes[0].name must have 1 to 63 lower-case letters, digits and hyphens, and start with a letter',
    ],
    [withTop({ volumes: [{ name: 'a' }, { name: 'a' }] }), 'volumes[1].name is the name of an entry before it'],
    [withTop({ volumes: [{ name: 'a', exec: 'yes' }] }), 'volumes[0].exec must be true or false'],
    [withTop({ volumes: [{ name: 'a', owner: 65535 }] }), 'volumes[0].owner must be a whole number from 0 to 65534'],
    [withTop({ volumes: [{ name: 'a', driver: 'nfs' }] }), 'volumes[0].driver is not a field that is known here'],
    [
      withTop({ volumes: [{ name: 'a', overlays: ['b'] }] }),
      'volumes[0].overlays must be left out: volumes are not laid over one another here',
    ],
    [withTop({ volumes: volumes(25) }), 'volumes must have at most 24 items, and has 25'],
    [
      withTop({ volumes: volumes(20), models: Array.from({ length: 5 }, () => ({})) }),
      'models must have at most 24 entries together with volumes',
    ],
    [
      withTop({ models: [{ name: 'm', repo: 'a/b', mpk: 'x' }] }),
      'models[0] cannot be mounted: models (mpk, mwp, emwp) are opened by confidential hardware only; put them into an image or a volume',
    ],
    [withTop({ models: [{ name: 'm', size: 1 }] }), 'models[0].size is not a field that is known here'],
    [withTop({ models: [{ name: 'm' }, { name: 'm' }] }), 'models[1].name is the name of an entry before it'],
    [
      withUnit({ secrets: ['KEY'] }, { models: [{ name: 'm', 'key-secret': 'KEY' }] }),
      'containers[0].secrets[0] must not be the key-secret of a model',
    ],
    [
      withUnit({ env: [{ KEY: 1 }] }, { models: [{ name: 'm', 'key-secret': 'KEY' }] }),
      'containers[0].env[0] must not be the key-secret of a model',
    ],
    [withUnit({ models: ['m'] }), 'containers[0].models[0] must name a model that is declared under models'],
  ])('%j', (value, violation) => {
    expect(violationsOf(value)).toContain(violation);
  });
});

describe('the shim', () => {
  const PATH = 'must be a path that begins with a slash, without a query; `*` may stand at its end only';
  const ORIGIN = 'must be an origin such as https://app.example.com, without a path, or *';
  test.each<readonly [Fields, string]>([
    [{ 'upstream-port': null }, 'shim.upstream-port is required'],
    [{ 'upstream-port': 0 }, 'shim.upstream-port must be a whole number from 1 to 65535'],
    [{ 'upstream-port': '8080' }, 'shim.upstream-port must be a whole number from 1 to 65535'],
    [{ 'upstream-container': 'gone' }, 'shim.upstream-container must be the name of one of the containers'],
    [{ paths: ['v1'] }, `shim.paths[0] ${PATH}`],
    [{ paths: ['/a*b'] }, `shim.paths[0] ${PATH}`],
    [{ paths: ['/a?b=1'] }, `shim.paths[0] ${PATH}`],
    [{ paths: '/a' }, 'shim.paths must be a list'],
    [{ origins: ['app.example.com'] }, `shim.origins[0] ${ORIGIN}`],
    [{ origins: ['https://app.example.com/'] }, `shim.origins[0] ${ORIGIN}`],
    [{ origins: ['https://*.example.com'] }, `shim.origins[0] ${ORIGIN}`],
    [{ authenticated: 1 }, 'shim.authenticated must be true or false'],
    [{ 'authenticated-endpoints': ['chat'] }, `shim.authenticated-endpoints[0] ${PATH}`],
    [{ 'rate-limit': -1 }, 'shim.rate-limit must be a number from 0 to 1000000'],
    [{ 'rate-limit': '5' }, 'shim.rate-limit must be a number from 0 to 1000000'],
    [{ 'rate-burst': 1.5 }, 'shim.rate-burst must be a whole number from 0 to 1000000'],
    [{ 'tls-mode': 'none' }, 'shim.tls-mode must be one of self-signed, acme, cert-proxy'],
    [{ 'tls-env': 'test' }, 'shim.tls-env must be one of production, staging'],
    [{ 'tls-challenge': 'mail' }, 'shim.tls-challenge must be one of tls, dns, http'],
    [{ 'tls-wildcard': true }, 'shim.tls-wildcard needs the tls-challenge dns'],
  ])('%j', (fields, violation) => {
    expect(violationsOf(withShim(fields))).toStrictEqual([violation]);
  });

  test('a map is needed', () => {
    expect(violationsOf(withTop({ shim: [] }))).toContain('shim must be a map');
  });

  test('nought switches the rate limit off', () => {
    expect(accepted(withShim({ 'rate-limit': 0, 'rate-burst': 0 })).config.shim).toMatchObject({ rateLimit: null, rateBurst: null });
  });
});

describe('what is taken and of which nothing comes is warned about', () => {
  const MACHINE = 'has no effect: containers run on a plain Docker engine, and no confidential machine is started';
  const TLS = 'has no effect: the ingress does not take certificates from configurations';
  const PROOF = 'has no effect: there is no confidential hardware whose state could be proved';
  const TWICE = 'so that an update stops what runs before it starts the new one: requests are refused meanwhile';
  test.each<readonly [PlainJson, string]>([
    [withTop({ 'cvm-version': `0.5@${DIGEST}` }), `cvm-version: ${MACHINE}`],
    [withTop({ 'shim-version': '1' }), `shim-version: ${MACHINE}`],
    [withTop({ 'ovmf-version': '1' }), `ovmf-version: ${MACHINE}`],
    [
      withTop({ 'cvm-network': { 'inbound-ports': [22] } }),
      'cvm-network: has no effect: there is no machine of its own whose ports could be opened; containers have ports for that',
    ],
    [
      withTop({ networks: { a: { egress: 'allowlist', allow: ['x.example'] } } }),
      'networks.a.egress: an allow list of host names cannot be kept here: the network is closed, and nothing outside of it is reached',
    ],
    [withTop({ volumes: [{ name: 'a', exec: false }] }), 'volumes[0].exec: is not kept: programs on the volume can be run'],
    [withShim({ 'tls-mode': 'acme' }), `shim.tls-mode: ${TLS}`],
    [withShim({ 'tls-env': 'staging' }), `shim.tls-env: ${TLS}`],
    [withShim({ 'tls-challenge': 'dns' }), `shim.tls-challenge: ${TLS}`],
    [withShim({ 'tls-challenge': 'dns', 'tls-wildcard': true }), `shim.tls-wildcard: ${TLS}`],
    [withShim({ 'tls-own-san-domain': true }), `shim.tls-own-san-domain: ${TLS}`],
    [withShim({ email: 'a@example.com' }), `shim.email: ${TLS}`],
    [withShim({ atc: 'https://atc.example' }), `shim.atc: ${PROOF}`],
    [withShim({ 'publish-attestation': true }), `shim.publish-attestation: ${PROOF}`],
    [withShim({ 'dummy-attestation': true }), `shim.dummy-attestation: ${PROOF}`],
    [withShim({ 'control-plane': 'https://x.example' }), 'shim.control-plane: has no effect: keys are checked by this server itself'],
    [withShim({ 'listen-port': 443 }), 'shim.listen-port: has no effect: the ingress listens where the operator says'],
    [withShim({ 'later-field': 1 }), 'shim.later-field: has no effect: no such field is known'],
    [withShim({ origins: [] }), 'shim.origins: is empty, so that pages of other origins are all refused'],
    [withShim({ 'authenticated-endpoints': ['/x'] }), 'shim.authenticated-endpoints: has no effect: authenticated is not true'],
    [withShim({ 'rate-burst': 5 }), 'shim.rate-burst: has no effect: there is no rate-limit'],
    [withUnit({ cpus: 4 }, { cpus: 2 }), 'containers[0].cpus: is more than cpus of the configuration, which hold for it'],
    [withUnit({ memory: '1g' }, { memory: 512 }), 'containers[0].memory: is more than memory of the configuration, which holds for it'],
    [
      withUnit({ env: ['A'], secrets: ['A'] }),
      'containers[0].secrets: A is in env too: the secret reaches the container only where the variable has no value',
    ],
    [
      withUnit({ volumes: ['data:/data'] }, { volumes: [{ name: 'data' }] }),
      `containers[0].volumes: a volume is not used by two deployments at a time, ${TWICE}`,
    ],
    [
      withUnit({ networks: ['a'], ports: ['9000:80'] }, { networks: { a: null } }),
      `containers[0].ports: ports of the host cannot be taken twice, ${TWICE}`,
    ],
  ])('%j', (value, warning) => {
    expect(accepted(value).warnings).toContain(warning);
  });
});

test.each<readonly [boolean, PlainJson]>([
  [true, MINIMAL],
  [true, withTop({ volumes: [{ name: 'data' }], networks: { a: { egress: 'open' } } })],
  [false, withUnit({ volumes: ['data:/data'] }, { volumes: [{ name: 'data' }] })],
  [false, withUnit({ networks: ['a'], ports: ['9000:80'] }, { networks: { a: null } })],
])('runs twice: %j for %j', (runsTwice, value) => {
  expect(accepted(value).runsTwice).toBe(runsTwice);
});

test('every violation is told, in the order of the schema', () => {
  const containers = [
    { name: 'a', image: 'x' },
    { image: IMAGE, env: ['1', '2'], ipc: 'host' },
  ];
  expect(
    violationsOf({ cpus: 0, other: 1, containers, shim: { 'upstream-port': 0, paths: ['x'] } }).map((line) => line.split(' ')[0]),
  ).toStrictEqual([
    'other',
    'cpus',
    'containers[0].image',
    'containers[1].env[0]',
    'containers[1].env[1]',
    'containers[1].name',
    'containers[1].ipc',
    'shim.upstream-port',
    'shim.paths[0]',
  ]);
});

test('violations and warnings beyond the first hundred are counted', () => {
  const fields = (count: number): Fields => Object.fromEntries(Array.from({ length: count }, (_, n) => [`f${n}`, 1]));
  const violations = violationsOf(withTop(fields(MAX_FINDINGS + 23)));
  expect(violations).toHaveLength(MAX_FINDINGS + 1);
  expect(violations.at(-1)).toBe('tinfoil-config.yml breaks 23 more rules, which are not listed');
  const { warnings } = accepted(withShim(fields(MAX_FINDINGS + 5)));
  expect(warnings).toHaveLength(MAX_FINDINGS + 1);
  expect(warnings.at(-1)).toBe('tinfoil-config.yml: 5 more warnings are not listed');
});

test('a long name of a field is shortened in its path', () => {
  expect(violationsOf(withTop({ [`k${'x'.repeat(100_000)}`]: 1 }))[0]?.length).toBeLessThan(150);
});
