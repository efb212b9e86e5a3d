import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeOpenApi } from '../../src/api/_shared/openapi/document.ts';
import { indexPage, surfacePage } from '../../src/api/documentation/pages.ts';
import Type from 'typebox';
import type { Running } from '../../src/server/boot.ts';
import { SURFACES } from '../../src/server/surfaces.ts';
import { makeTestFolder } from '../server/in-process.ts';

const folder = makeTestFolder();
let running: Running;
beforeAll(async () => {
  running = await folder.start();
});
afterAll(() => folder.dispose());

const get = (path: string): Promise<Response> => fetch(running.listeners.admin.origin + path);
const PAGES = ['/docs', ...SURFACES.map(({ id }) => `/docs/${id}`)];

/** The values of an attribute in a page. */
const attribute = (html: string, name: string): string[] =>
  Array.from(html.matchAll(new RegExp(`\\s${name}="([^"]*)"`, 'g')), ([, value]) => value ?? '');

describe('the pages', () => {
  test.each(PAGES)('%s needs no credential and may load its own style and script only', async (path) => {
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy.split('; ').toSorted()).toEqual([
      "base-uri 'none'",
      "default-src 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      'img-src data:',
      "script-src 'self'",
      "style-src 'self'",
    ]);
    const html = await answer.text();
    // What the policy forbids would only be missing: there is none of it.
    expect(html).not.toMatch(/<style|<script>|\sstyle=|\son\w+=/);
    for (const url of [...attribute(html, 'href'), ...attribute(html, 'src')]) expect(url).toMatch(/^(\/|#|data:,$)/);
    expect(attribute(html, 'src')).toEqual(['/docs/script.js']);
  });

  test.each(['/docs/style.css', '/docs/script.js'])('%s names nothing outside', async (path) => {
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(path.endsWith('css') ? /^text\/css/ : /^text\/javascript/);
    expect(await answer.text()).not.toMatch(/https?:|["'`(]\/\/|url\(|@import|fetch|XMLHttpRequest|import\(/);
  });

  test('every link leads somewhere, within a page and between them', async () => {
    const pages = new Map<string, string>();
    for (const path of PAGES) pages.set(path, await (await get(path)).text());
    let links = 0;
    for (const [path, html] of pages) {
      const ids = attribute(html, 'id');
      expect([path, ids.filter((id, index) => ids.indexOf(id) !== index)]).toEqual([path, []]);
      for (const href of attribute(html, 'href')) {
        if (href === 'data:,' || href === '/docs/style.css' || href === '/openapi.json') continue;
        const [target = '', anchor] = href.split('#');
        const inPage = pages.get(target === '' ? path : target);
        const leads = inPage !== undefined && (anchor === undefined || attribute(inPage, 'id').includes(anchor));
        expect([path, href, leads]).toEqual([path, href, true]);
        links += 1;
      }
    }
    expect(links).toBeGreaterThan(150);
  });

  test('show every operation with its parameters, body, answers and errors', async () => {
    const html = await (await get('/docs/operator')).text();
    const text = html.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ');
    expect(text).toContain('Create a tenant POST /v1/x-castellan/tenants');
    expect(text).toContain('max_gpus integer optional at least 0');
    expect(text).toContain('cursor query optional The next_cursor of the page before.');
    expect(text).toMatch(/201 The new tenant\. application\/json Tenant/);
    expect(text).toMatch(/409 It is taken, .* CyclesError/);
    expect(text).toContain('409 MANAGED_BY_FILE The configuration file declares this field, so only the file can change it.');
    expect(html).toContain('curl -X POST &quot;$CASTELLAN/v1/x-castellan/tenants&quot;');
    const index = await (await get('/docs')).text();
    const shown = running.listeners.routes().map(({ method, url }) => {
      const path = url.replace(/:(\w+)/g, '{$1}').replace('/*', '/{model}');
      return { path, isShown: index.includes(`>${method}</span> <code>${path}</code>`) };
    });
    expect(shown.filter(({ isShown }) => !isShown)).toEqual([]);
  });

  test('have what a keyboard and a reader of screens need', async () => {
    for (const path of PAGES) {
      const html = await (await get(path)).text();
      expect(html).toMatch(/<html lang="en">/);
      expect(html).toMatch(/<a class="skip" href="#content">/);
      expect(html).toMatch(/<main id="content"/);
      expect(html.match(/<h1>/g)).toHaveLength(1);
      expect(html).toMatch(/<label for="search">/);
      expect(html.match(/aria-current="page"/g)).toHaveLength(1);
      expect(html).toMatch(/<meta name="viewport" content="width=device-width, initial-scale=1" \/>/);
    }
  });

  test('404: another page, without a word of what was asked for', async () => {
    const answer = await get('/docs/%3Cscript%3Ealert(1)%3C%2Fscript%3E');
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    const text = await answer.text();
    expect(text).toMatch(/"error":"NOT_FOUND"/);
    expect(text).not.toContain('alert');
  });

  test('404: not on the data plane', async () => {
    expect((await fetch(`${running.listeners.runtime.origin}/docs`)).status).toBe(404);
    expect((await fetch(`${running.listeners.runtime.origin}/openapi.json`)).status).toBe(404);
  });

  test('take whatever a description says as text', () => {
    const hostile = '<img src=x onerror=alert(1)> & `<b>`';
    const operation = {
      id: 'hostile',
      summary: hostile,
      description: hostile,
      query: { '<q>': { description: hostile, schema: Type.String({ description: hostile }) } },
      answers: { 200: { description: hostile, schema: Type.Object({ '<f>': Type.String({ description: hostile }) }) } },
    };
    const surface = {
      id: 'x',
      title: hostile,
      description: hostile,
      prefixes: ['/x'],
      operations: { 'GET /x': operation },
      security: [],
      errors: null,
    };
    const routes = [{ method: 'GET', url: '/x', body: undefined, listeners: ['admin'] }];
    const document = makeOpenApi({ routes, surfaces: [surface], version: '1' });
    for (const html of [indexPage(document), surfacePage(document, 'x') ?? '']) {
      expect(html).not.toMatch(/<img|<b>|<q>|<f>/);
      expect(html).toContain('&lt;img src=x onerror=alert(1)&gt; &amp; ');
    }
  });
});
