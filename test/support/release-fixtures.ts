import { join } from 'node:path';

/** Releases whose databases this one opens, by the number of their newest migration; `tools/release-fixture.ts` wrote what they left. */
export const RELEASES = ['0001'] as const;

/** A file of a release's fixture. */
export const fixtureFile = (release: string, name: string): string =>
  join(import.meta.dirname, '..', 'fixtures', `schema-${release}`, name);

/** The environment that the fixtures were made in: what seals their secrets, and the operator's key. */
export const FIXTURE_ENV = {
  CASTELLAN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
  ADMIN_API_KEY: 'fixture-operator-key-1234567890-abcdef',
};
