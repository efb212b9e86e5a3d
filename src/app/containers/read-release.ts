import { checkConfig } from '../../core/containers/config/check-config.ts';
import type { ConfigViolation, ContainerConfig } from '../../core/containers/config/container-config.ts';
import { Findings } from '../../core/containers/config/findings.ts';
import { declaredAllocation, type ResourcePrices } from '../../core/containers/container-meter.ts';
import { CONFIG_FILE, checkRepo, checkTag } from '../../core/containers/release-names.ts';
import { resolveImage, type Registries } from '../../core/containers/images.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { ConfigReader } from '../../ports/config-reader.ts';
import type { ReleaseSource, RepositoryOf } from '../../ports/release-source.ts';

/** What a tag of a repository is to run. `warnings` are sentences for its owner. */
export interface Release {
  readonly commit: string;
  readonly config: ContainerConfig;
  readonly warnings: readonly string[];
  readonly runsTwice: boolean;
}

/** Reads a release for a tenant, and checks everything about it that can be checked before it runs. */
export type ReadRelease = (of: RepositoryOf & { readonly tag: string }) => Promise<Outcome<Release>>;

const SHOWN_VIOLATIONS = 20;

function broken({ repo, tag }: { readonly repo: string; readonly tag: string }, violations: readonly ConfigViolation[]): Outcome<never> {
  const shown = violations.slice(0, SHOWN_VIOLATIONS).map(({ path, rule }) => (path === '' ? rule : `${path} ${rule}`));
  const rest = violations.length - shown.length;
  const more = rest > 0 ? `; and ${rest} more` : '';
  const message = `${CONFIG_FILE} of ${repo} at ${tag} breaks ${violations.length === 1 ? 'a rule' : 'rules'}: ${shown.join('; ')}${more}`;
  return rejected({ code: 'invalid_request', message, field: CONFIG_FILE, details: { violations } });
}

/** Notes what the operator asks of configurations: limits of what costs something, for nobody could say how much of it was used; and registries. */
function checkOperatorRules(
  config: ContainerConfig,
  findings: Findings,
  { prices, registries }: { readonly prices: ResourcePrices; readonly registries: Registries },
): void {
  const { cpus, memoryMb } = declaredAllocation(config);
  const requireLimit = (field: 'cpus' | 'memory'): void => {
    const places = [field, ...config.units.map((_, index) => `containers[${index}].${field}`)];
    if (places.some((place) => findings.isRefused(place))) return;
    findings.refuse(field, 'must be declared, for the whole or for each container: this server charges for it');
  };
  if (cpus === null && prices.cpuHourNanos > 0n) requireLimit('cpus');
  if (memoryMb === null && prices.memoryGbHourNanos > 0n) requireLimit('memory');
  for (const [index, { image, digest }] of config.units.entries()) {
    const resolved = digest === '' ? null : resolveImage(image, registries);
    if (resolved?.ok === false) findings.refuse(`containers[${index}].image`, resolved.rule);
  }
}

/**
 * Makes the {@link ReadRelease}.
 *
 * Rejects, in this order: `invalid_request` (repo, tag), `not_found` (no repository, tag, release or file), `invalid_request` (the file breaks rules;
 * `details.violations` has every one). Throws the source's fault.
 */
export function makeReadRelease(deps: {
  readonly source: Pick<ReleaseSource, 'readConfig'>;
  readonly reader: ConfigReader;
  readonly registries: Registries;
  readonly prices: ResourcePrices;
}): ReadRelease {
  return async (release) => {
    const bad = checkRepo(release.repo) ?? checkTag(release.tag);
    if (bad !== null) return bad;
    const found = await deps.source.readConfig(release);
    if (!found.ok) {
      const isBad = found.why === 'file_too_large' || found.why === 'refused';
      return rejected({ code: isBad ? 'invalid_request' : 'not_found', message: found.message });
    }
    const findings = new Findings();
    const read = deps.reader.read(found.text, findings);
    if (read.value === undefined) return broken(release, findings.violations);
    const checked = checkConfig(read.value, { findings, checkMore: (config) => checkOperatorRules(config, findings, deps) });
    if (!checked.ok) return broken(release, checked.violations);
    const { config, warnings, runsTwice } = checked;
    return accepted({ commit: found.commit, config, warnings, runsTwice });
  };
}
