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
 * Sentences for what a deployment gives and no container asks for: it reaches none of them. Those that ask by a fixed value say so. Source:
 * Tinfoil reference section 3, injection.
 */
export function undeclaredWarnings(
  config: Pick<ContainerConfig, 'units'>,
  given: { readonly variables: readonly string[]; readonly secrets: readonly string[] },
): readonly string[] {
  const declared = declaredNames(config);
  const fixed = new Set(config.units.flatMap(({ env }) => env.filter(({ value }) => value !== null).map(({ name }) => name)));
  const dropped = given.variables.filter((name) => !declared.variables.includes(name));
  return [
    ...dropped.map((name) =>
      fixed.has(name)
        ? `variables.${name}: has no effect: the configuration fixes its value`
        : `variables.${name}: reaches no container: none names it in its env`,
    ),
    ...given.secrets
      .filter((name) => !declared.secrets.includes(name))
      .map((name) => `secrets.${name}: reaches no container: none names it in its secrets`),
  ];
}
