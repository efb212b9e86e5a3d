import type { Ask } from './cycles-steps.ts';

/** Asks every operation on domains, as the tenant's admin key. */
export async function askDomains(ask: Ask): Promise<void> {
  const root = '/api/domains';
  const domain = { domain: 'doc.example.com' };
  await ask(`POST ${root}`, root, 201, domain);
  await ask(`POST ${root}`, root, 409, domain);
  await ask(`POST ${root}`, root, 400, { domain: 'Doc' });
  await ask(`GET ${root}`, root, 200);
  // Nobody answers where this server asks: nothing changes, and the answer says so.
  await ask(`POST ${root}/:domain/verify`, `${root}/doc.example.com/verify`, 200);
  await ask(`POST ${root}/:domain/verify`, `${root}/none.example.com/verify`, 404);
  await ask(`DELETE ${root}/:domain`, `${root}/doc.example.com`, 200);
  await ask(`DELETE ${root}/:domain`, `${root}/doc.example.com`, 404);
  await ask('GET /internal/ask', '/internal/ask?domain=none.example.com', 404);
  await ask('GET /internal/ask', '/internal/ask', 400);
}
