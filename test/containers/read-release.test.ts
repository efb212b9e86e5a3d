import { expect, test } from 'vitest';
import { makeReadRelease } from '../../src/app/containers/read-release.ts';
import { DEFAULT_REGISTRIES } from '../../src/core/containers/images.ts';
import { makeConfigReader } from '../../src/sources/_shared/read-config.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;

/** The violations of a file, on a server that charges for processors and memory. */
async function violationsOf(text: string): Promise<readonly string[]> {
  const readRelease = makeReadRelease({
    source: { readConfig: () => Promise.resolve({ ok: true, commit: '0'.repeat(40), text }) },
    reader: makeConfigReader(),
    registries: DEFAULT_REGISTRIES,
    prices: { cpuHourNanos: 1n, memoryGbHourNanos: 1n, gpuHourNanos: 1n },
  });
  const read = await readRelease({ tenantId: 'default', repo: 'acme/app', tag: 'v1' });
  if (read.ok) return [];
  const { violations } = read.rejection.details as { readonly violations: readonly { readonly path: string; readonly rule: string }[] };
  return violations.map(({ path, rule }) => `${path} ${rule.split(/[:;(]/)[0]?.trim() ?? ''}`);
}

test('rules of the text, of the schema and of the operator are told at once', async () => {
  const text = `
dragons: &d 1
containers:
  - name: web
    image: quay.io/acme/web@${DIGEST}
    pid: ""
    pid: host
    memory: 64m
  - name: worker
    image: ghcr.io/acme/worker:latest
shim:
  upstream-port: 0
`;
  expect(await violationsOf(text)).toStrictEqual([
    'dragons must not have an anchor',
    'containers[0].pid is there twice',
    'dragons is not a field that is known here',
    'containers[0].pid must be left out',
    'containers[1].image must name its digest',
    'shim.upstream-port must be a whole number from 1 to 65535',
    'cpus must be declared, for the whole or for each container',
    'memory must be declared, for the whole or for each container',
    'containers[0].image comes from a registry that the operator does not allow',
  ]);
});

test('what a rule of the text leaves unknown is not told to be missing', async () => {
  const text = `
cpus: 0x2
memory: !!int 64
containers:
  - *web
  - name: worker
    image: *image
    privileged: true
  - <<: *worker
    pid: host
shim: *shim
`;
  expect(await violationsOf(text)).toStrictEqual([
    'cpus must be a number in decimal digits without leading zeros',
    'memory must not have a tag',
    'containers[0] must not be an alias',
    'containers[1].image must not be an alias',
    'containers[2] must not have a merge key',
    'shim must not be an alias',
    'containers[1].privileged must be left out',
    'containers[2].pid must be left out',
  ]);
});

test('a text that is no document is told of alone', async () => {
  expect(await violationsOf('a: "x\n')).toStrictEqual(['tinfoil-config.yml is not valid YAML at line 2, column 1']);
});
