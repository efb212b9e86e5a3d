import { expect, test } from 'vitest';
import { accepted, CONFIG_DIGEST, withTop } from '../../../test/support/container-config.ts';
import { DEFAULT_REGISTRIES } from '../../core/containers/images.ts';
import { imagesOf } from './plan-units.ts';

const image = (host: string): string => `${host}/acme/web@${CONFIG_DIGEST}`;
const configOf = (hosts: readonly string[]) =>
  accepted(withTop({ containers: hosts.map((host, index) => ({ name: `u${index}`, image: image(host) })) })).config;

test('every image from a registry that is not allowed is told of', () => {
  const rule = 'comes from a registry that the operator does not allow';
  expect(imagesOf(configOf(['one.example', 'ghcr.io', 'two.example:5000']), DEFAULT_REGISTRIES)).toStrictEqual([
    { path: 'containers[0].image', rule },
    { path: 'containers[2].image', rule },
  ]);
});

test('images go by the names of their units', () => {
  const images = imagesOf(configOf(['ghcr.io', 'two.example:5000']), { ...DEFAULT_REGISTRIES, allow: ['two.example:5000'] });
  expect(images).toStrictEqual(
    new Map([
      ['u0', { host: 'ghcr.io', repository: 'acme/web', digest: CONFIG_DIGEST, kind: 'ghcr' }],
      ['u1', { host: 'two.example:5000', repository: 'acme/web', digest: CONFIG_DIGEST, kind: 'other' }],
    ]),
  );
});
