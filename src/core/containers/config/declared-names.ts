import type { ContainerConfig } from './container-config.ts';

/** Names that a configuration asks values for, each once and in order. A variable with a fixed value asks for none. */
export function declaredNames({ units }: Pick<ContainerConfig, 'units'>): {
  readonly variables: readonly string[];
  readonly secrets: readonly string[];
} {
  const variables = units.flatMap(({ env }) => env.filter(({ value }) => value === null).map(({ name }) => name));
  const secrets = units.flatMap((unit) => unit.secrets);
  return { variables: [...new Set(variables)].toSorted(), secrets: [...new Set(secrets)].toSorted() };
}

/**
 * Sentences about what a deployment gives and what its containers ask for: what reaches none of them and why, and what they are started without. Only names
 * are looked at: whether a secret has a value is not known here. Source: Tinfoil reference section 3, injection.
 */
export function deploymentWarnings(
  config: Pick<ContainerConfig, 'units'>,
  given: { readonly variables: readonly string[]; readonly secrets: readonly string[] },
): readonly string[] {
  const declared = declaredNames(config);
  const fixed = new Set(config.units.flatMap(({ env }) => env.filter(({ value }) => value !== null).map(({ name }) => name)));
  const without = (all: readonly string[], some: readonly string[]): readonly string[] => all.filter((name) => !some.includes(name));
  const missing = 'is not given, and containers that name it start without it';
  return [
    ...without(given.variables, declared.variables).map((name) =>
      fixed.has(name)
        ? `variables.${name}: has no effect: the configuration fixes its value`
        : `variables.${name}: reaches no container: none names it in its env`,
    ),
    ...without(given.secrets, declared.secrets).map((name) => `secrets.${name}: reaches no container: none names it in its secrets`),
    ...without(declared.variables, given.variables).map((name) => `variables.${name}: ${missing}`),
    ...without(declared.secrets, given.secrets).map((name) => `secrets.${name}: ${missing}`),
  ];
}
