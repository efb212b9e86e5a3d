import { isJson, resolve, shapeOf, type Components, type Direction, type Json, type Shape } from './shape.ts';

/** The two documents that are compared: the published one (`there`) and ours (`here`). */
export interface Sides {
  readonly there: Components;
  readonly here: Components;
}

/** Finds what two schemas do not have in common, and remembers which it has seen. */
export interface SchemaComparer {
  /** Differences of two schemas, a line each, that begin with the direction and the place. `place` names what is no component. */
  readonly compare: (there: Json, here: Json, at: { readonly direction: Direction; readonly place: string }) => readonly string[];
  /** How many different pairs of schemas with fields were compared. */
  readonly comparedCount: () => number;
  /** The components of the published document that were compared. */
  readonly components: () => ReadonlySet<string>;
}

interface Pair {
  readonly there: Shape;
  readonly here: Shape;
  readonly at: string;
}

const told = (values: readonly string[]): string => (values.length === 0 ? 'any' : values.join(' or '));
const without = (all: readonly string[], some: readonly string[]): string[] => all.filter((each) => !some.includes(each));

/** Types, values and bounds. */
function compareValues({ there, here, at }: Pair): string[] {
  const found: string[] = [];
  if (told(there.types) !== told(here.types)) found.push(`${at}: type is ${told(there.types)} there and ${told(here.types)} here`);
  if (there.values !== null || here.values !== null) {
    if (there.values === null) found.push(`${at}: values are free there and listed here`);
    else if (here.values === null) found.push(`${at}: values are listed there and free here`);
    else {
      found.push(...without(there.values, here.values).map((value) => `${at}: value ${value} is only there`));
      found.push(...without(here.values, there.values).map((value) => `${at}: value ${value} is only here`));
    }
  }
  for (const limit of [...new Set([...Object.keys(there.limits), ...Object.keys(here.limits)])].toSorted()) {
    const [theirs = 'none', ours = 'none'] = [there.limits[limit], here.limits[limit]];
    if (theirs !== ours) found.push(`${at}: ${limit} is ${theirs} there and ${ours} here`);
  }
  return found;
}

/** Names, which of them must be given, and whether there may be others. */
function compareFields({ there, here, at }: Pair, hidden: ReadonlySet<string>): string[] {
  const names = (shape: Shape): string[] => Object.keys(shape.properties).filter((name) => !hidden.has(name));
  const both = names(there).filter((name) => here.properties[name] !== undefined);
  const closedness = ({ others }: Shape): string => (typeof others === 'string' ? others : 'open to some');
  return [
    ...without(names(there), names(here)).map((name) => `${at}.${name}: is only there`),
    ...without(names(here), names(there)).map((name) => `${at}.${name}: is only here`),
    ...both
      .filter((name) => there.required.includes(name) && !here.required.includes(name))
      .map((name) => `${at}.${name}: is required only there`),
    ...both
      .filter((name) => here.required.includes(name) && !there.required.includes(name))
      .map((name) => `${at}.${name}: is required only here`),
    ...(closedness(there) === closedness(here) ? [] : [`${at}: is ${closedness(there)} there and ${closedness(here)} here`]),
  ];
}

/** Of several forms of a value here, the one that is most like the published one; the others are a difference each. */
function pickForm(there: Shape, here: Shape, components: Components): { readonly picked: Shape; readonly others: readonly Shape[] } {
  const forms = here.alternatives.map((form) => shapeOf(form, components));
  const picked = forms.find((form) => told(form.types) === told(there.types));
  return picked === undefined ? { picked: here, others: forms } : { picked, others: forms.filter((form) => form !== picked) };
}

/** Makes a comparer for two documents. */
export function makeSchemaComparer(sides: Sides): SchemaComparer {
  const seen = new Map<string, Set<string>>();
  const components = new Set<string>();

  const isSeen = (pair: Pair, keys: readonly string[]): boolean => {
    const known = seen.get(pair.at) ?? new Set();
    const key = keys.join('\n');
    if (known.has(key)) return true;
    seen.set(pair.at, known.add(key));
    return false;
  };

  const hiddenOf = (shape: Shape, direction: Direction): ReadonlySet<string> => {
    const mark = direction === 'answer' ? 'writeOnly' : 'readOnly';
    const names = Object.entries(shape.properties).filter(([, inner]) => resolve(inner, sides.there).schema[mark] === true);
    return new Set(names.map(([name]) => name));
  };

  const compare: SchemaComparer['compare'] = (there, here, { direction, place }) => {
    const theirs = shapeOf(there, sides.there);
    const whole = shapeOf(here, sides.here);
    const { picked: ours, others } = pickForm(theirs, whole, sides.here);
    const at = `${direction} ${theirs.name ?? place}`;
    if (theirs.name !== null) components.add(theirs.name);
    const pair: Pair = { there: theirs, here: ours, at };
    // One component may meet several schemas of ours; each is looked at once, which also ends what refers to itself.
    if (isSeen(pair, [JSON.stringify(there), JSON.stringify(here)])) return [];
    const extra = others.map((form) => `${at}: is also ${told(form.types)} here`);
    const inner = { direction, place: theirs.name ?? place };
    return [...extra, ...compareValues(pair), ...compareFields(pair, hiddenOf(theirs, direction)), ...insides(pair, inner)];
  };

  const insides = ({ there, here }: Pair, { direction, place }: { direction: Direction; place: string }): string[] => {
    const hidden = hiddenOf(there, direction);
    const found = Object.entries(there.properties).flatMap(([name, schema]) => {
      const ours = here.properties[name];
      return ours === undefined || hidden.has(name) ? [] : compare(schema, ours, { direction, place: `${place}.${name}` });
    });
    if (there.items !== null && here.items !== null) found.push(...compare(there.items, here.items, { direction, place: `${place}[]` }));
    if ((there.items === null) !== (here.items === null))
      found.push(`${direction} ${place}: items are described only ${there.items === null ? 'here' : 'there'}`);
    if (isJson(there.others) && isJson(here.others)) found.push(...compare(there.others, here.others, { direction, place: `${place}.*` }));
    return found;
  };

  return {
    compare,
    comparedCount: () => [...seen.entries()].filter(([at]) => !/[.[]/.test(at)).length,
    components: () => components,
  };
}
