import { expect, test } from 'vitest';
import type { Model } from '../../core/records.ts';
import { makeCatalogue, type LoadedCatalogue } from './catalogue.ts';

async function catalogueOf(models: readonly Partial<Model>[]): Promise<LoadedCatalogue> {
  const catalogue = makeCatalogue({ records: async (kind) => (kind === 'model' ? models : []) as never });
  await catalogue.load();
  return catalogue;
}

test('a model is found by its id and by each of its aliases; models of older releases have none', async () => {
  const catalogue = await catalogueOf([{ id: 'a', aliases: ['x', 'y'] }, { id: 'b' }]);
  expect(['a', 'x', 'y', 'b', 'z'].map((name) => catalogue.model(name)?.id)).toEqual(['a', 'a', 'a', 'b', undefined]);
  expect(catalogue.models().map(({ id }) => id)).toEqual(['a', 'b']);
});

test('an id goes before an alias of the same name, such as one that an older release let in', async () => {
  const catalogue = await catalogueOf([{ id: 'a', aliases: ['b'] }, { id: 'b' }]);
  expect(catalogue.model('b')?.id).toBe('b');
});
