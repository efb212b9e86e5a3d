import { expect, test } from 'vitest';
import { DEFAULT_REGISTRIES, imageAddress, readImageName, resolveImage } from './images.ts';

const DIGEST = `sha256:${'0f'.repeat(32)}`;

test.each<readonly [string, string, string, string]>([
  ['redis', 'docker.io', 'library/redis', 'dockerhub'],
  ['acme/web:1.2', 'docker.io', 'acme/web', 'dockerhub'],
  ['docker.io/redis', 'docker.io', 'library/redis', 'dockerhub'],
  ['index.docker.io/acme/web', 'index.docker.io', 'acme/web', 'dockerhub'],
  ['ghcr.io/acme/web/part:latest', 'ghcr.io', 'acme/web/part', 'ghcr'],
  ['gcr.io/acme/web', 'gcr.io', 'acme/web', 'gcr'],
  ['localhost/web', 'localhost', 'web', 'other'],
  ['localhost:5000/web:1', 'localhost:5000', 'web', 'other'],
  ['registry.example/a/b__c--d.e', 'registry.example', 'a/b__c--d.e', 'other'],
])('%s is of %s', (name, host, path, kind) => {
  expect(readImageName(`${name}@${DIGEST}`)).toStrictEqual({ ok: true, host, path, digest: DIGEST, kind });
});

test.each<readonly [string, RegExp]>([
  ['redis', /^must name its digest/],
  ['redis:7', /^must name its digest/],
  ['redis@', /^must end with @sha256:/],
  ['redis@sha256:0f', /^must end with @sha256:/],
  [`redis@sha512:${'0f'.repeat(64)}`, /^must end with @sha256:/],
  [`redis@${DIGEST.toUpperCase()}`, /^must end with @sha256:/],
  [`redis@${DIGEST}@${DIGEST}`, /^must end with @sha256:/],
  [`redis@${DIGEST}\n`, /^must end with @sha256:/],
  [`redis:@${DIGEST}`, /^has a tag/],
  [`redis:a b@${DIGEST}`, /^has a tag/],
  [`Registry.example/a@${DIGEST}`, /^does not begin with the name of a registry host/],
  [`-x.example/a@${DIGEST}`, /^does not begin with the name of a registry host/],
  [`user:pass/a@${DIGEST}`, /^does not begin with the name of a registry host/],
  [`@${DIGEST}`, /^is not an image name/],
  [`Acme/web@${DIGEST}`, /^is not an image name/],
  [`acme//web@${DIGEST}`, /^is not an image name/],
  [`acme/../web@${DIGEST}`, /^is not an image name/],
  [`--privileged@${DIGEST}`, /^is not an image name/],
  [`https://ghcr.io/acme/web@${DIGEST}`, /^does not begin with the name of a registry host/],
  [`ghcr.io/${'a'.repeat(250)}@${DIGEST}`, /^is not an image name/],
])('%j is refused', (image, rule) => {
  const named = readImageName(image);
  expect(named.ok ? '' : named.rule).toMatch(rule);
});

test('names go to the hosts that are declared for them, with a path where one is', () => {
  const registries = { ...DEFAULT_REGISTRIES, ghcr: 'mirror.example/ghcr', dockerhub: '127.0.0.1:5000' };
  const address = (name: string): string => {
    const resolved = resolveImage(`${name}@${DIGEST}`, registries);
    return resolved.ok ? imageAddress(resolved.image) : resolved.rule;
  };
  expect(address('ghcr.io/acme/web')).toBe(`mirror.example/ghcr/acme/web@${DIGEST}`);
  expect(address('redis')).toBe(`127.0.0.1:5000/library/redis@${DIGEST}`);
  expect(address('gcr.io/acme/web')).toBe(`gcr.io/acme/web@${DIGEST}`);
  expect(address('mirror.example/acme/web')).toBe('comes from a registry that the operator does not allow');
});
