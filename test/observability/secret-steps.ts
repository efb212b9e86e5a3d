import type { Ask } from './cycles-steps.ts';

/** Asks every operation on secrets and credentials of registries, as the tenant's admin key. */
export async function askSecrets(ask: Ask): Promise<void> {
  const root = '/api/secrets';
  await ask(`POST ${root}`, root, 201, { name: 'DOC_KEY', value: 'kept' });
  await ask(`POST ${root}`, root, 409, { name: 'DOC_KEY', value: 'kept' });
  await ask(`POST ${root}`, root, 400, { name: 'Doc', value: 'kept' });
  await ask(`GET ${root}`, root, 200);
  await ask(`GET ${root}/:name`, `${root}/DOC_KEY`, 200);
  await ask(`GET ${root}/:name`, `${root}/NOBODY`, 404);
  await ask(`PUT ${root}/:name`, `${root}/DOC_KEY`, 200, { value: 'changed' });
  await ask(`PUT ${root}/:name`, `${root}/NOBODY`, 404, { value: 'changed' });
  await ask(`DELETE ${root}/:name`, `${root}/DOC_KEY`, 200);
  await ask(`DELETE ${root}/:name`, `${root}/DOC_KEY`, 404);
  const registries = '/api/registry-credentials';
  await ask(`PUT ${registries}/:registry`, `${registries}/ghcr`, 200, { username: 'doc', token: 'kept' });
  await ask(`PUT ${registries}/:registry`, `${registries}/quay`, 400, { username: 'doc', token: 'kept' });
  await ask(`GET ${registries}`, registries, 200);
  await ask(`DELETE ${registries}/:registry`, `${registries}/ghcr`, 200);
  await ask(`DELETE ${registries}/:registry`, `${registries}/ghcr`, 404);
}
