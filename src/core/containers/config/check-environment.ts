import type { PlainJson } from '../../json/plain-json.ts';
import type { ConfigNode, TextRule } from './config-node.ts';
import type { UnitVariable } from './container-config.ts';

/** Names of variables. Source: Tinfoil reference section 3, `env`. */
export const VARIABLE_NAME: TextRule = {
  pattern: /^[A-Za-z_][A-Za-z0-9_]{0,255}$/,
  words: 'be the name of a variable: letters, digits and `_`, at most 256, and no digit first',
};

/** A fixed value as the text that a process sees: numbers as they are written in their shortest form. */
function fixedValue(node: ConfigNode): string | null {
  const value: PlainJson | undefined = node.plain;
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? node.refuse('is too large a number; put it in quotes') : String(value);
  }
  if (typeof value === 'string') return node.text();
  if (node.isGiven) return node.refuse('must be a text, a number, true or false');
  return node.refuse('must have a value; write the name alone where the value comes from the variables of the deployment');
}

function checkItem(node: ConfigNode): UnitVariable | null {
  if (typeof node.plain === 'string') {
    const name = node.text(VARIABLE_NAME);
    return name === null ? null : { name, value: null };
  }
  const isMap = typeof node.plain === 'object' && node.plain !== null && !Array.isArray(node.plain);
  const names = isMap ? node.fieldNames() : [];
  const [name] = names;
  if (name === undefined || names.length !== 1) return node.refuse('must be a name, or a map of one name and its value');
  const field = node.field(name);
  if (!VARIABLE_NAME.pattern.test(name)) return field.refuse(`must ${VARIABLE_NAME.words}`);
  const value = fixedValue(field);
  return value === null ? null : { name, value };
}

/**
 * Reads `env` of a container: names alone, whose values come from the deployment's variables, and maps of one name and a fixed value. A name
 * stands there once. `refuse` gives the rule that a name breaks for reasons of the rest of the file.
 */
export function checkEnvironment(node: ConfigNode, refuse: (name: string) => string | null): readonly UnitVariable[] {
  const seen = new Set<string>();
  const variables: UnitVariable[] = [];
  for (const item of node.items() ?? []) {
    const variable = checkItem(item);
    if (variable === null) continue;
    if (seen.has(variable.name)) item.refuse('is in the list already');
    seen.add(variable.name);
    const broken = refuse(variable.name);
    if (broken !== null) item.refuse(broken);
    variables.push(variable);
  }
  return variables;
}
