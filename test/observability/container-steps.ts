import { waitUntil } from '../support/wait-until.ts';
import { pageConfig, type ContainerParts } from '../support/container-stage.ts';
import type { Ask } from './cycles-steps.ts';

const root = '/api/containers';

/** Steps through every operation on containers, on a real engine. `ask` checks each answer against its description. */
export async function askContainers(ask: Ask, parts: ContainerParts): Promise<void> {
  parts.release('doc', 'v1', pageConfig(await parts.page('one')));
  await ask(`GET ${root}`, root, 200);
  await ask(`GET ${root}/hosts`, `${root}/hosts`, 200);
  await ask(`POST ${root}/validate-name`, `${root}/validate-name`, 200, { name: 'doc', debug: null });
  await ask(`POST ${root}/validate-name`, `${root}/validate-name`, 400, { name: 'Doc' });
  await ask(`POST ${root}/validate`, `${root}/validate`, 200, { repo: 'acme/doc', tag: 'v1' });
  await ask(`POST ${root}/validate`, `${root}/validate`, 404, { repo: 'acme/doc', tag: 'v2' });
  const created = await ask(`POST ${root}`, root, 201, { name: 'doc', repo: 'acme/doc', tag: 'v1', variables: { A: 'b' }, staging: true });
  await ask(`POST ${root}`, root, 409, { name: 'doc', repo: 'acme/doc', tag: 'v1' });
  const id = String(created['id']);
  const at = `${root}/${id}`;
  const until = (status: string, update: string | null): Promise<void> =>
    waitUntil(async () => {
      const container = await ask(`GET ${root}/:id`, at, 200);
      return container['status'] === status && container['update_status'] === update;
    }, 20_000);
  await until('ready', null);
  await ask('GET /internal/ask', '/internal/ask?domain=doc.default.containers.localhost', 200);
  await ask(`GET ${root}/:id/logs`, `${at}/logs?tail=5`, 200);
  await ask(`GET ${root}/:id/logs`, `${at}/logs?container=nobody`, 400);
  await ask(`GET ${root}/:id/metrics`, `${at}/metrics?time=5m`, 200);
  await ask(`GET ${root}/:id/metrics`, `${at}/metrics?time=120s`, 400);
  await ask(`GET ${root}/:id/usage`, `${at}/usage`, 200);
  for (const path of ['accept', 'promote', 'cancel']) {
    await ask(`POST ${root}/:id/update/${path}`, `${at}/update/${path}`, 409);
    await ask(`POST ${root}/:id/relaunch`, `${at}/relaunch`, 200, {});
    await ask(`GET ${root}/:id/update`, `${at}/update`, 200);
    await until('ready', 'ready');
    await ask(`POST ${root}/:id/update/${path}`, `${at}/update/${path}`, path === 'cancel' ? 204 : 200);
    await until('ready', null);
  }
  await ask(`GET ${root}/:id/update`, `${at}/update`, 200);
  await ask(`PUT ${root}/:id/group`, `${at}/group`, 200, { group_name: 'pages', group_order: 1, display_order: 2 });
  await ask(`PUT ${root}/reorder`, `${root}/reorder`, 200, { containers: [{ id, display_order: 3 }] });
  await ask(`PUT ${root}/groups/rename`, `${root}/groups/rename`, 200, { old_name: 'pages', new_name: 'sites' });
  await ask(`PUT ${root}/groups/reorder`, `${root}/groups/reorder`, 200, { groups: [{ name: 'sites', group_order: 4 }] });
  await ask(`DELETE ${root}/groups/:name`, `${root}/groups/sites`, 204);
  await ask(`POST ${root}/:id/auto-update`, `${at}/auto-update`, 200, { auto_update: false });
  await ask(`POST ${root}/:id/auto-update`, `${at}/auto-update`, 200, { auto_update: true });
  await ask(`POST ${root}/:id/auto-update`, `${at}/auto-update`, 200, { auto_update: false });
  await ask(`POST ${root}/:id/github-connection`, `${at}/github-connection`, 409, { connected: true });
  await ask(`POST ${root}/:id/github-connection`, `${at}/github-connection`, 200, { connected: false });
  await ask('POST /sources/github/webhook', '/sources/github/webhook', 404, {}, {});
  await ask(`POST ${root}/:id/stop`, `${at}/stop`, 200);
  await until('stopped', null);
  // The unmodified client of this API sends null where it has nothing to say.
  await ask(`POST ${root}/:id/start`, `${at}/start`, 200, 'null');
  await ask(`DELETE ${root}/:id`, at, 204);
  await ask(`GET ${root}/:id`, at, 404);
}
