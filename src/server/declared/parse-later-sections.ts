import type { Field } from './field.ts';
import { refuseDouble } from './named-fields.ts';

/** Sections of which this version makes nothing yet. */
const LATER_SECTIONS = ['hosts', 'sources', 'registries', 'ingress', 'dns'] as const;
type LaterSection = (typeof LATER_SECTIONS)[number];

const ID = { pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, rule: 'an id of 1 to 64 letters, digits, ".", "_" and "-"' };

/**
 * Checks the sections that this version does not use yet, so that a file written for a later one is either right or refused, and
 * returns the names of those that say something.
 */
export function parseLaterSections(sections: Readonly<Record<LaterSection, Field>>): string[] {
  checkHosts(sections.hosts);
  checkSources(sections.sources);
  const registries = sections.registries.fields(['ghcr', 'gcr', 'dockerhub', 'allow']);
  for (const name of ['ghcr', 'gcr', 'dockerhub'] as const) registries[name].or(null, (f) => f.text());
  for (const host of registries.allow.items()) host.text();
  sections.ingress.fields(['base_domain']).base_domain.or(null, (f) => f.text({ maxLength: 253 }));
  for (const server of sections.dns.fields(['servers']).servers.items()) server.text();
  return LATER_SECTIONS.filter((name) => says(sections[name]));
}

const says = (field: Field): boolean => field.isGiven && !(Array.isArray(field.value) && field.value.length === 0);

function checkHosts(section: Field): void {
  const seen = new Set<string>();
  for (const item of section.items()) {
    const given = item.fields(['name', 'docker', 'address', 'gpus', 'default']);
    refuseDouble(seen, given.name.text(ID), given.name);
    given.docker.text({ secret: true });
    given.address.or(null, (f) => f.text());
    given.gpus.items();
    given.default.or(false, (f) => f.boolean());
  }
}

function checkSources(section: Field): void {
  const given = section.fields(['github', 'git']);
  const github = given.github.fields(['base_url', 'token']);
  github.base_url.or(null, (f) => f.text({ secret: true }));
  github.token.or(null, (f) => f.text({ secret: true }));
  for (const item of given.git.items()) {
    const source = item.fields(['owner', 'base_url']);
    source.owner.text();
    source.base_url.text({ secret: true });
  }
}
