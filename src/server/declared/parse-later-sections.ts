import type { Field } from './field.ts';

/** Sections of which this version makes nothing yet. */
const LATER_SECTIONS = ['dns'] as const;
type LaterSection = (typeof LATER_SECTIONS)[number];

/**
 * Checks the sections that this version does not use yet, so that a file written for a later one is either right or refused, and
 * returns the names of those that say something.
 */
export function parseLaterSections(sections: Readonly<Record<LaterSection, Field>>): string[] {
  for (const server of sections.dns.fields(['servers']).servers.items()) server.text();
  return LATER_SECTIONS.filter((name) => says(sections[name]));
}

const says = (field: Field): boolean => field.isGiven && !(Array.isArray(field.value) && field.value.length === 0);
