import { checkConfig } from '../../core/containers/config/check-config.ts';
import type { ConfigViolation, ContainerConfig } from '../../core/containers/config/container-config.ts';
import { declaredAllocation, type ResourcePrices } from '../../core/containers/container-meter.ts';
import { CONFIG_FILE, checkRepo, checkTag } from '../../core/containers/release-names.ts';
import type { Registries } from '../../core/containers/images.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { ConfigReader } from '../../ports/config-reader.ts';
import type { ReleaseSource, RepositoryOf } from '../../ports/release-source.ts';
import { imagesOf } from './plan-units.ts';

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

/** What costs something must have a limit: nobody could say how much of it was used. */
function undeclared(config: ContainerConfig, { cpuHourNanos, memoryGbHourNanos }: ResourcePrices): ConfigViolation[] {
  const { cpus, memoryMb } = declaredAllocation(config);
  const rule = 'must be declared, for the whole or for each container: this server charges for it';
  return [
    ...(cpus === null && cpuHourNanos > 0n ? [{ path: 'cpus', rule }] : []),
    ...(memoryMb === null && memoryGbHourNanos > 0n ? [{ path: 'memory', rule }] : []),
  ];
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
    const read = deps.reader.read(found.text);
    if (!read.ok) return broken(release, read.violations);
    const checked = checkConfig(read.value);
    if (!checked.ok) return broken(release, checked.violations);
    const unmetered = undeclared(checked.config, deps.prices);
    if (unmetered.length > 0) return broken(release, unmetered);
    const images = imagesOf(checked.config, deps.registries);
    if (!(images instanceof Map)) return broken(release, images);
    const { config, warnings, runsTwice } = checked;
    return accepted({ commit: found.commit, config, warnings, runsTwice });
  };
}
