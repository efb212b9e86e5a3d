import type { EngineOwner } from '../../ports/container-engine.ts';

const PREFIX = 'io.castellan.';

/** Labels of everything that is made on an engine. */
export const LABELS = {
  installation: `${PREFIX}installation`,
  tenant: `${PREFIX}tenant`,
  container: `${PREFIX}container`,
  deployment: `${PREFIX}deployment`,
  unit: `${PREFIX}unit`,
  /** Hash of what a thing was made from: another specification under the same name is told by it. */
  spec: `${PREFIX}spec`,
  shimPort: `${PREFIX}shim-port`,
  image: `${PREFIX}image`,
  gpus: `${PREFIX}gpus`,
} as const;

export type Labels = Readonly<Record<string, string>>;

export const ownerLabels = (owner: EngineOwner): Record<string, string> => ({
  [LABELS.installation]: owner.installation,
  [LABELS.tenant]: owner.tenant,
  [LABELS.container]: owner.container,
  ...(owner.deployment === null ? {} : { [LABELS.deployment]: owner.deployment }),
});

/** Whose a thing is. A label that was lost reads as empty, which no record matches. */
export const readOwner = (labels: Labels): EngineOwner => ({
  installation: labels[LABELS.installation] ?? '',
  tenant: labels[LABELS.tenant] ?? '',
  container: labels[LABELS.container] ?? '',
  deployment: labels[LABELS.deployment] ?? null,
});

/** The query that lists what an installation has. */
export const installationFilter = (installation: string): string => JSON.stringify({ label: [`${LABELS.installation}=${installation}`] });
