import { ED25519_KEY } from '../support/ssh-keys.ts';
import type { Ask } from './cycles-steps.ts';

/** Asks every operation on SSH keys, as the tenant's admin key. */
export async function askSshKeys(ask: Ask): Promise<void> {
  const root = '/api/ssh-keys';
  const key = { name: 'doc-key', public_key: ED25519_KEY };
  await ask(`POST ${root}`, root, 201, key);
  await ask(`POST ${root}`, root, 409, key);
  await ask(`POST ${root}`, root, 400, { ...key, name: 'Doc' });
  await ask(`GET ${root}`, root, 200);
  await ask(`DELETE ${root}/:name`, `${root}/doc-key`, 200);
  await ask(`DELETE ${root}/:name`, `${root}/doc-key`, 404);
}
