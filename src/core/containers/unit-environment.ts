import type { UnitConfig } from './config/container-config.ts';

/** What a deployment was given to fill environments with: values by name. */
export interface GivenValues {
  readonly variables: Readonly<Record<string, string>>;
  readonly secrets: ReadonlyMap<string, string>;
}

/** The environment of a unit, and what was left out of it. */
export interface UnitEnvironment {
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly warnings: readonly string[];
}

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The environment of a unit: what its configuration fixes, the variables that it names, the secrets that both it and the deployment name. A fixed
 * value wins over a variable, and either over a secret of the same name; what nobody declared is not passed on. A variable that is missing, and a
 * secret that is missing or empty, are left out with a warning. Source: Tinfoil reference section 3, injection.
 */
export function unitEnvironment(unit: UnitConfig, { variables, secrets }: GivenValues): UnitEnvironment {
  const warnings: string[] = [];
  const env = new Map<string, string>();
  for (const { name, value } of unit.env) {
    const given = value ?? (Object.hasOwn(variables, name) ? variables[name] : undefined);
    if (given === undefined) warnings.push(`${unit.name}: the variable ${name} is declared and was not given`);
    else env.set(name, given);
  }
  for (const name of unit.secrets) {
    const value = secrets.get(name) ?? '';
    if (env.has(name)) {
      if (value !== '') warnings.push(`${unit.name}: the secret ${name} is hidden by a variable of that name`);
    } else if (!ENV_NAME.test(name)) warnings.push(`${unit.name}: the secret ${name} is no name of an environment`);
    else if (value === '') warnings.push(`${unit.name}: the secret ${name} is declared and was not given`);
    else env.set(name, value);
  }
  return { env: [...env].map(([name, value]) => ({ name, value })), warnings };
}
