import type { Field } from './field.ts';

/** Where the repositories of an owner are. */
export interface DeclaredGitSource {
  readonly owner: string;
  readonly baseUrl: string;
}

/** Where releases come from. `github` null: no repository is looked for there. */
export interface DeclaredSources {
  readonly github: { readonly baseUrl: string; readonly token: string | null } | null;
  readonly git: readonly DeclaredGitSource[];
}

/** What holds where the file says nothing: public repositories of GitHub. */
export const DEFAULT_SOURCES: DeclaredSources = { github: { baseUrl: 'https://api.github.com', token: null }, git: [] };

const OWNER = { pattern: /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?$/, rule: 'the name of an owner as GitHub has them' };
const GIT_URL = {
  pattern: /^(?:file|https?|ssh):\/\/[^\s]{1,2000}$/,
  rule: 'an address that begins with file://, https://, http:// or ssh://',
  secret: true,
};
const API_URL = { pattern: /^https?:\/\/[^\s?#@]{1,2000}$/, rule: 'an address that begins with https:// or http://', secret: true };

/** Reads the section `sources`. A file that has one says all of it: GitHub is asked only where it is named. */
export function parseSources(section: Field): DeclaredSources {
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
  return { github: given.github.or(null, readGithub), git };
}

function readGithub(field: Field): DeclaredSources['github'] {
  const given = field.fields(['base_url', 'token']);
  return {
    baseUrl: given.base_url.or('https://api.github.com', (f) => f.text(API_URL)),
    token: given.token.or(null, (f) => f.text({ maxLength: 512, secret: true })),
  };
}
