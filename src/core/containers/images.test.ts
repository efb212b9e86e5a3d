import { describe, expect, test } from 'vitest';
import { DEFAULT_REGISTRIES, imageAddress, resolveImage, type Registries } from './images.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const ruleOf = (image: string, registries: Registries = DEFAULT_REGISTRIES): string => {
  const result = resolveImage(image, registries);
  return result.ok ? 'accepted' : result.rule;
};

describe('an image is read to where it is pulled from', () => {
  test.each([
    ['ghcr.io/acme/web', 'ghcr.io', 'acme/web', 'ghcr'],
    ['gcr.io/acme/deep/er/web', 'gcr.io', 'acme/deep/er/web', 'gcr'],
    ['busybox', 'docker.io', 'library/busybox', 'dockerhub'],
    ['acme/web', 'docker.io', 'acme/web', 'dockerhub'],
    ['docker.io/busybox', 'docker.io', 'library/busybox', 'dockerhub'],
    ['index.docker.io/acme/web', 'docker.io', 'acme/web', 'dockerhub'],
    ['ghcr.io/acme/web:v1.2.3-rc_1', 'ghcr.io', 'acme/web', 'ghcr'],
    ['busybox:latest', 'docker.io', 'library/busybox', 'dockerhub'],
    ['a.b/c__d/e-f--g.h', 'a.b', 'c__d/e-f--g.h', 'other'],
    ['127.0.0.1:5000/acme/web:1', '127.0.0.1:5000', 'acme/web', 'other'],
    ['localhost/web', 'localhost', 'web', 'other'],
  ] as const)('%s', (name, host, repository, kind) => {
    const registries = { ...DEFAULT_REGISTRIES, allow: ['a.b', '127.0.0.1:5000', 'localhost'] };
    const result = resolveImage(`${name}@${DIGEST}`, registries);
    expect(result).toEqual({ ok: true, image: { host, repository, digest: DIGEST, kind } });
  });

  test('through the hosts that are declared for the three that have a name, below a path too', () => {
    const registries = { ghcr: '127.0.0.1:5000', gcr: 'mirror.example/gcr', dockerhub: 'mirror.example:8443/hub/x', allow: [] };
    const addresses = ['ghcr.io/acme/web', 'gcr.io/acme/web', 'busybox'].map((name) => {
      const result = resolveImage(`${name}@${DIGEST}`, registries);
      return result.ok ? imageAddress(result.image) : result.rule;
    });
    expect(addresses).toEqual([
      `127.0.0.1:5000/acme/web@${DIGEST}`,
      `mirror.example/gcr/acme/web@${DIGEST}`,
      `mirror.example:8443/hub/x/library/busybox@${DIGEST}`,
    ]);
  });
});

describe('an image is refused', () => {
  test.each([
    ['ghcr.io/acme/web:v1', 'must name its digest: a tag alone may change, so write name@sha256:<64 hexadecimal digits>'],
    ['', 'must name its digest: a tag alone may change, so write name@sha256:<64 hexadecimal digits>'],
    ['acme/web@sha256:abc', 'must end with @sha256: and 64 hexadecimal digits in lower case'],
    [`acme/web@${DIGEST.toUpperCase()}`, 'must end with @sha256: and 64 hexadecimal digits in lower case'],
    [`acme/web@sha512:${'0'.repeat(128)}`, 'must end with @sha256: and 64 hexadecimal digits in lower case'],
    [`acme/web@${DIGEST}@${DIGEST}`, 'must end with @sha256: and 64 hexadecimal digits in lower case'],
    [`acme/web:-x@${DIGEST}`, 'has a tag of other characters than letters, digits, `_`, `.` and `-`'],
    [`acme/web:@${DIGEST}`, 'has a tag of other characters than letters, digits, `_`, `.` and `-`'],
    [`a_b.example/web@${DIGEST}`, 'does not begin with the name of a registry host'],
    [`-o.example/web@${DIGEST}`, 'does not begin with the name of a registry host'],
    [`user:pass@${DIGEST}`, 'accepted'],
    [`quay.io/acme/web@${DIGEST}`, 'comes from a registry that the operator does not allow'],
    [`eu.gcr.io/acme/web@${DIGEST}`, 'comes from a registry that the operator does not allow'],
    [`localhost:5000/web@${DIGEST}`, 'comes from a registry that the operator does not allow'],
  ])('%s: %s', (image, rule) => {
    expect(ruleOf(image)).toBe(rule);
  });

  test.each([
    'Acme/web',
    'acme//web',
    'acme/web/',
    '../web',
    'acme/..',
    'acme/we b',
    'acme/web?x=1',
    'acme/_web',
    `a/${'b'.repeat(300)}`,
    '@',
  ])('because %s is no name', (name) => {
    expect(ruleOf(`ghcr.io/${name}@${DIGEST}`)).not.toBe('accepted');
    expect(ruleOf(`${name}@${DIGEST}`)).not.toBe('accepted');
  });
});
