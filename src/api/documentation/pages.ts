import type { DocumentOperation, DocumentParameter, DocumentTag, OpenApiDocument } from '../_shared/openapi/document.ts';
import { html, prose, type Html } from '../_shared/html.ts';
import { componentsOf, exampleOf, schemaView, typeOf } from './schema-view.ts';

interface Entry {
  readonly method: string;
  readonly path: string;
  readonly operation: DocumentOperation;
}

/** How a credential is written in an example of a request. */
const CREDENTIAL_HEADERS: Readonly<Record<string, string>> = {
  operatorKey: 'X-Admin-API-Key: $OPERATOR_KEY',
  adminKey: 'Authorization: Bearer $ADMIN_KEY',
  inferenceKey: 'Authorization: Bearer $KEY',
  inferenceApiKey: 'X-API-Key: $KEY',
  reportSignature: 'X-Tinfoil-Signature: $SIGNATURE',
  metricsToken: 'Authorization: Bearer $METRICS_TOKEN',
};

function entriesOf(document: OpenApiDocument, tag: string): Entry[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, operation]) => operation.tags.includes(tag))
      .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

/** The first page: every surface with its operations, to be searched. */
export function indexPage(document: OpenApiDocument): string {
  const surfaces = document.tags.map((tag) => {
    const entries = entriesOf(document, tag.name);
    if (entries.length === 0) return null;
    return html`<section data-group>
      <h2><a href="/docs/${tag.name}">${tag['x-title']}</a></h2>
      <p>${prose(tag.description)}</p>
      <ul class="index">
        ${entries.map(
          ({ method, path, operation }) =>
            html`<li data-entry>
              <a href="/docs/${tag.name}#${operation.operationId}"
                ><span class="method ${method.toLowerCase()}">${method}</span> <code>${path}</code>
                <span class="note">${operation.summary}</span></a
              >
            </li>`,
        )}
      </ul>
    </section>`;
  });
  const content = html`<h1>Castellan API</h1>
    <p>
      ${prose(String(document.info['description']))} Version ${String(document.info['version'])}. The document behind these pages:
      <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).
    </p>
    <section>
      <h2>Credentials</h2>
      <ul class="fields">
        ${Object.entries(document.components.securitySchemes).map(([name, scheme]) => credential(name, scheme))}
      </ul>
    </section>
    ${searchBox('Search all operations')} ${surfaces}`;
  return page(document, { title: 'Castellan API', current: null, content });
}

const credential = (name: string, scheme: unknown): Html =>
  html`<li>
    <code class="name">${CREDENTIAL_HEADERS[name] ?? name}</code>
    <span class="note">${prose(String((scheme as { readonly description?: unknown }).description))}</span>
  </li>`;

/** The page of one surface; null where there is none of that name. */
export function surfacePage(document: OpenApiDocument, name: string): string | null {
  const tag = document.tags.find((each) => each.name === name);
  if (tag === undefined) return null;
  const entries = entriesOf(document, name);
  const { schemas } = document.components;
  const used = componentsOf(
    entries.map(({ operation }) => operation),
    schemas,
  );
  const content = html`<h1>${tag['x-title']}</h1>
    <p>${prose(tag.description)}</p>
    ${searchBox('Search this page')}
    <div data-group>${entries.map((entry) => operationView(entry, document))}</div>
    ${errorTable(tag)}
    ${
      used.length === 0
        ? null
        : html`<section>
            <h2 id="schemas">Schemas</h2>
            ${used.map(
              (each) =>
                html`<article id="schema-${each}">
                  <h3>${each}</h3>
                  ${schemaView(schemas[each] ?? {})}
                </article>`,
            )}
          </section>`
    }`;
  return page(document, { title: `${tag['x-title']} - Castellan API`, current: name, content });
}

/** Hidden until the script that makes it work is there. */
const searchBox = (label: string): Html =>
  html`<p class="search" hidden>
    <label for="search">${label}</label> <input id="search" type="search" autocomplete="off" spellcheck="false" />
    <span class="note" id="found" role="status"></span>
  </p>`;

function operationView({ method, path, operation }: Entry, document: OpenApiDocument): Html {
  const { summary, description, parameters = [], requestBody, responses } = operation;
  const listeners = operation['x-listeners'].includes('runtime') ? 'data plane and control plane' : 'control plane';
  const [bodyType, body] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const isError = ([status]: readonly [string, unknown]): boolean => Number(status) >= 400;
  const answers = Object.entries(responses).filter((each) => !isError(each));
  const errors = Object.entries(responses).filter(isError);
  return html`<article id="${operation.operationId}" data-entry>
    <h2><a href="#${operation.operationId}">${summary}</a></h2>
    <p class="request"><span class="method ${method.toLowerCase()}">${method}</span> <code>${path}</code></p>
    ${description === undefined ? null : html`<p>${prose(description)}</p>`}
    <p class="note">Served by the ${listeners}. Credential: ${credentialsOf(operation)}.</p>
    ${parameterTable(parameters)}
    ${
      body === undefined
        ? null
        : html`<h3>Body${requestBody?.required === true ? '' : ', optional'}</h3>
            <p class="note">${bodyType ?? ''}</p>
            ${schemaView(body.schema)}`
    }
    <h3>Answers</h3>
    <dl class="answers">${answers.map(([status, response]) => answerView(status, response))}</dl>
    ${
      errors.length === 0
        ? null
        : html`<h3>Errors</h3>
            <ul class="index">
              ${errors.map(([status, response]) => errorView(status, response))}
            </ul>`
    }
    <details>
      <summary>Example</summary>
      <pre tabindex="0"><code>${exampleRequest({ method, path, operation }, document)}</code></pre>
    </details>
  </article>`;
}

function credentialsOf({ security }: DocumentOperation): string {
  const names = security.flatMap((each) => Object.keys(each));
  return names.length === 0 ? 'none' : names.map((name) => (CREDENTIAL_HEADERS[name] ?? name).replace(': ', ' ')).join(', or ');
}

function parameterTable(parameters: readonly DocumentParameter[]): Html | null {
  if (parameters.length === 0) return null;
  return html`<h3>Parameters</h3>
    <ul class="fields">
      ${parameters.map(
        ({ name, in: place, required, description, schema }) =>
          html`<li>
            <code class="name">${name}</code>
            <span class="type">${place}</span>${required ? null : html` <span class="optional">optional</span>`}
            <span class="note">${prose(description)}</span> ${place === 'path' ? null : schemaView(schema)}
          </li>`,
      )}
    </ul>`;
}

function answerView(status: string, { description, headers = {}, content = {} }: DocumentOperation['responses'][string]): Html {
  return html`<dt><span class="status good">${status}</span> ${prose(description)}</dt>
    <dd>
      ${Object.entries(headers).map(
        ([name, header]) =>
          html`<p>
            <code class="name">${name}</code>
            <span class="note">${String((header as { readonly description?: unknown }).description)}</span>
          </p>`,
      )}
      ${Object.entries(content).map(
        ([type, { schema }]) =>
          html`<p class="note">${type}</p>
            ${schemaView(schema)}`,
      )}
    </dd>`;
}

/** Errors of a surface have one form: a line is enough for each. */
const errorView = (status: string, { description, content = {} }: DocumentOperation['responses'][string]): Html =>
  html`<li>
    <span class="status bad">${status}</span> ${prose(description)}
    ${Object.values(content).map(({ schema }) => html`<span class="note">${typeOf(schema)}</span>`)}
  </li>`;

function exampleRequest({ method, path, operation }: Entry, document: OpenApiDocument): string {
  const query = (operation.parameters ?? []).filter(({ in: place, required }) => place === 'query' && required);
  const search = query.length === 0 ? '' : `?${query.map(({ name }) => `${name}=...`).join('&')}`;
  const [name] = Object.keys(operation.security[0] ?? {});
  const [type, body] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const lines = [`curl -X ${method} "$CASTELLAN${path}${search}"`];
  if (name !== undefined) lines.push(`-H "${CREDENTIAL_HEADERS[name] ?? name}"`);
  for (const { name: header, in: place, required } of operation.parameters ?? []) {
    if (place === 'header' && required) lines.push(`-H "${header}: ..."`);
  }
  if (body !== undefined) {
    lines.push(`-H "Content-Type: ${type}"`);
    lines.push(`-d '${JSON.stringify(exampleOf(body.schema, document.components.schemas))}'`);
  }
  return lines.join(' \\\n  ');
}

function errorTable(tag: DocumentTag): Html | null {
  const codes = tag['x-error-codes'];
  if (codes.length === 0) return null;
  return html`<section>
    <h2 id="codes">Codes of errors</h2>
    <div class="wide" tabindex="0" role="region" aria-labelledby="codes">
      <table>
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Code</th>
            <th scope="col">Meaning</th>
          </tr>
        </thead>
        <tbody>
          ${codes.map(
            ({ status, code, meaning }) =>
              html`<tr>
                <td>${status}</td>
                <td><code>${code}</code></td>
                <td>${prose(meaning)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function page(
  document: OpenApiDocument,
  options: { readonly title: string; readonly current: string | null; readonly content: Html },
): string {
  const { title, current, content } = options;
  const link = (href: string, text: string, isCurrent: boolean): Html =>
    isCurrent ? html`<a href="${href}" aria-current="page">${text}</a>` : html`<a href="${href}">${text}</a>`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="stylesheet" href="/docs/style.css" />
        <link rel="icon" href="data:," />
        <script src="/docs/script.js" defer></script>
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <header>
          <nav aria-label="Surfaces">
            ${link('/docs', 'Castellan API', current === null)}
            ${document.tags.map(({ name, 'x-title': text }) => link(`/docs/${name}`, text, current === name))}
          </nav>
        </header>
        <main id="content" tabindex="-1">${content}</main>
      </body>
    </html>`.html.replace(/\n\s+/g, '\n');
}
