import { createPrivateKey } from 'node:crypto';
import type { DeclaredApp } from '../../sources/github/github-app.ts';
import type { Field } from './field.ts';

/** Where the repositories of an owner are. */
export interface DeclaredGitSource {
  readonly owner: string;
  readonly baseUrl: string;
}

/** The App of GitHub, as declared. Without secrets no webhook is taken. Lengths in milliseconds. */
export interface DeclaredGithubApp extends DeclaredApp {
  readonly webhookSecrets: readonly string[];
  /** Connected repositories are looked at that often even where no webhook tells of them. */
  readonly pollMs: number;
}

/** Where releases come from. `github` null: no repository is looked for there. */
export interface DeclaredSources {
  readonly github: {
    readonly baseUrl: string;
    readonly token: string | null;
    /** Whether a release counts only with its deployment assets. */
    readonly needsAssets: boolean;
    readonly app: DeclaredGithubApp | null;
  } | null;
  readonly git: readonly DeclaredGitSource[];
}

/** What holds where the file says nothing: public repositories of GitHub. */
export const DEFAULT_SOURCES: DeclaredSources = {
  github: { baseUrl: 'https://api.github.com', token: null, needsAssets: false, app: null },
  git: [],
};

/** Without webhooks, an update is a minute late; with them, asking is only for those that were lost. */
const POLL_ALONE_MS = 60_000;
const POLL_BESIDE_HOOKS_MS = 900_000;
const DAY_MS = 24 * 3_600_000;

const OWNER = { pattern: /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?$/, rule: 'the name of an owner as GitHub has them' };
const GIT_URL = {
  pattern: /^(?:file|https?|ssh):\/\/[^\s]{1,2000}$/,
  rule: 'an address that begins with file://, https://, http:// or ssh://',
  secret: true,
};
const API_URL = { pattern: /^https?:\/\/[^\s?#@]{1,2000}$/, rule: 'an address that begins with https:// or http://', secret: true };

/** Reads the section `sources`; `readFile` reads the text of a file that it names. A file that has one says all of it: GitHub is asked only where it is named. */
export function parseSources(section: Field, readFile: (path: string) => string): DeclaredSources {
  if (!section.isNamed) return DEFAULT_SOURCES;
  const given = section.fields(['github', 'git']);
  const seen = new Set<string>();
  const git = given.git.items().map((item) => {
    const source = item.fields(['owner', 'base_url']);
    const owner = source.owner.text(OWNER);
    if (seen.has(owner.toLowerCase())) source.owner.fail('is there twice');
    seen.add(owner.toLowerCase());
    return { owner, baseUrl: source.base_url.text(GIT_URL) };
  });
  return { github: given.github.or(null, (field) => readGithub(field, readFile)), git };
}

function readGithub(field: Field, readFile: (path: string) => string): DeclaredSources['github'] {
  const given = field.fields(['base_url', 'token', 'deployment_assets', 'app']);
  return {
    baseUrl: given.base_url.or('https://api.github.com', (f) => f.text(API_URL)),
    token: given.token.or(null, (f) => f.text({ maxLength: 512, secret: true })),
    needsAssets: given.deployment_assets.or('ignored', (f) => f.oneOf(['ignored', 'required'])) === 'required',
    app: given.app.or(null, (f) => readApp(f, readFile)),
  };
}

const APP_ID = { pattern: /^[A-Za-z0-9._-]{1,64}$/, rule: 'the id or the client id of a GitHub App, in quotes' };
const SECRET = { pattern: /^[\x21-\x7e]{16,256}$/, rule: 'a secret of 16 to 256 visible ASCII characters', secret: true };
const TENANT = { pattern: /^[A-Za-z0-9._:-]{1,128}$/, rule: 'the id of a tenant' };
const MAX_WEBHOOK_SECRETS = 2;

function readApp(field: Field, readFile: (path: string) => string): DeclaredGithubApp {
  const given = field.fields(['id', 'private_key', 'private_key_file', 'webhook_secret', 'webhook_secrets', 'owners', 'poll_ms']);
  if (given.webhook_secret.isGiven && given.webhook_secrets.isGiven)
    given.webhook_secrets.fail('stands beside webhook_secret: write one of the two');
  const listed = given.webhook_secrets.items();
  if (listed.length > MAX_WEBHOOK_SECRETS) given.webhook_secrets.fail('must hold one secret or, while it is changed, two');
  const webhookSecrets = given.webhook_secret.isGiven ? [given.webhook_secret.text(SECRET)] : listed.map((secret) => secret.text(SECRET));
  const seen = new Set<string>();
  const owners = given.owners.items().map((item) => {
    const entry = item.fields(['owner', 'tenants']);
    const owner = entry.owner.text(OWNER);
    if (seen.has(owner.toLowerCase())) entry.owner.fail('is there twice');
    seen.add(owner.toLowerCase());
    const tenants = entry.tenants.items().map((tenant) => tenant.text(TENANT));
    if (tenants.length === 0) entry.tenants.fail('must name a tenant: nobody else may connect the repositories of that owner');
    return { owner, tenants };
  });
  if (owners.length === 0) given.owners.fail('must name an owner with the tenants that may connect its repositories');
  return {
    id: typeof given.id.value === 'number' ? String(given.id.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })) : given.id.text(APP_ID),
    privateKey: readPrivateKey(given, readFile),
    owners,
    webhookSecrets,
    pollMs: given.poll_ms.or(webhookSecrets.length === 0 ? POLL_ALONE_MS : POLL_BESIDE_HOOKS_MS, (f) =>
      f.integer({ min: 200, max: DAY_MS }),
    ),
  };
}

/** The App's key, as the library takes it. GitHub gives it in PKCS#1; in variables of an environment, lines are often ended by a backslash and an n. */
function readPrivateKey(
  given: { readonly private_key: Field; readonly private_key_file: Field },
  readFile: (path: string) => string,
): string {
  const { private_key: key, private_key_file: file } = given;
  if (key.isGiven && file.isGiven) file.fail('stands beside private_key: write one of the two');
  const field = file.isGiven ? file : key;
  let text: string;
  try {
    text = file.isGiven ? readFile(file.text()) : key.text({ maxLength: 20_000, rule: 'the private key of the App, in PEM', secret: true });
  } catch (err) {
    if (!file.isGiven || (err as { code?: unknown }).code === undefined) throw err;
    return file.fail(`cannot be read (${String((err as { code?: unknown }).code)})`);
  }
  try {
    const parsed = createPrivateKey(text.replaceAll(String.raw`\n`, '\n'));
    if (parsed.asymmetricKeyType === 'rsa') return parsed.export({ type: 'pkcs8', format: 'pem' }).toString();
  } catch {
    // What it holds is not to be shown.
  }
  return field.fail('must be the private key of the App: an RSA key in PEM, as GitHub gives it');
}
