import { makeSchemaComparer, type SchemaComparer } from './compare-schemas.ts';
import type { ComparedDocument, ComparedOperation } from './published.ts';
import type { Json } from './shape.ts';

/** What a comparison found: a line for each difference, each once, in the order of the published document. */
export interface Comparison {
  readonly differences: readonly string[];
  readonly operationCount: number;
  readonly schemaCount: number;
}

interface Context {
  readonly comparer: SchemaComparer;
  readonly there: ComparedOperation;
  readonly here: ComparedOperation;
}

const namesOf = (there: object, here: object): string[] => [...new Set([...Object.keys(there), ...Object.keys(here)])];

function compareParameters({ comparer, there, here }: Context): string[] {
  const id = there.id;
  return namesOf(there.parameters, here.parameters).flatMap((name) => {
    const [theirs, ours] = [there.parameters[name], here.parameters[name]];
    if (theirs === undefined) return [`${id}: ${name} is only here`];
    if (ours === undefined) return [`${id}: ${name} is only there`];
    return [
      ...(theirs.required === ours.required ? [] : [`${id}: ${name} is required only ${theirs.required ? 'there' : 'here'}`]),
      ...(theirs.commaSeparated === ours.commaSeparated
        ? []
        : [`${id}: ${name} is separated by commas only ${theirs.commaSeparated ? 'there' : 'here'}`]),
      ...comparer.compare(theirs.schema, ours.schema, { direction: 'request', place: `${id}.${name}` }),
    ];
  });
}

function compareBodies({ comparer, there, here }: Context): string[] {
  const id = there.id;
  if (there.body === null || here.body === null)
    return there.body === here.body ? [] : [`${id}: a body is taken only ${here.body === null ? 'there' : 'here'}`];
  return [
    ...(there.body.required === here.body.required ? [] : [`${id}: the body is required only ${there.body.required ? 'there' : 'here'}`]),
    ...comparer.compare(there.body.schema, here.body.schema, { direction: 'request', place: id }),
  ];
}

/** Statuses that every operation here has are told once for all, where any operation there lacks them. */
function compareAnswers({ comparer, there, here }: Context, always: ReadonlySet<string>): string[] {
  const id = there.id;
  return namesOf(there.answers, here.answers).flatMap((status) => {
    const [theirs, ours] = [there.answers[status], here.answers[status]];
    if (theirs === undefined)
      return [always.has(status) ? `every operation: status ${status} is only here` : `${id}: status ${status} is only here`];
    if (ours === undefined) return [`${id}: status ${status} is only there`];
    if (theirs === null || ours === null)
      return theirs === ours ? [] : [`${id}: status ${status} has a body only ${ours === null ? 'there' : 'here'}`];
    return comparer.compare(theirs, ours, { direction: 'answer', place: `${id} ${status}` });
  });
}

function compareOperation(context: Context, always: ReadonlySet<string>): string[] {
  const { there, here } = context;
  const credentials = (operation: ComparedOperation): string => operation.credentials.join(' or ') || 'none';
  return [
    ...(there.id === here.id ? [] : [`${there.id}: is called ${here.id} here`]),
    ...(credentials(there) === credentials(here) ? [] : [`${there.id}: takes ${credentials(there)} there and ${credentials(here)} here`]),
    ...compareParameters(context),
    ...compareBodies(context),
    ...compareAnswers(context, always),
  ];
}

/**
 * Compares a published document with ours, operation by operation, and components that no operation refers to with ours of their names.
 *
 * Told are: operations, their names and credentials, parameters, bodies and statuses that only one of the two has, and whatever their
 * schemas do not say alike.
 */
export function compareDocuments(options: {
  readonly there: ComparedDocument;
  readonly here: ComparedDocument;
  readonly always?: readonly number[];
  readonly unreferred?: Readonly<Record<string, Json>>;
}): Comparison {
  const { there, here, always = [], unreferred = {} } = options;
  const comparer = makeSchemaComparer({ there: there.schemas, here: here.schemas });
  const statuses = new Set(always.map(String));
  const found = namesOf(there.operations, here.operations).flatMap((key) => {
    const [theirs, ours] = [there.operations[key], here.operations[key]];
    if (theirs === undefined) return [`${key}: is only here`];
    if (ours === undefined) return [`${key}: is only there`];
    return compareOperation({ comparer, there: theirs, here: ours }, statuses);
  });
  for (const [name, schema] of Object.entries(unreferred)) {
    if (there.schemas[name] === undefined) found.push(`component ${name}: is only here`);
    else found.push(...comparer.compare({ $ref: `#/components/schemas/${name}` }, schema, { direction: 'answer', place: name }));
  }
  const compared = comparer.components();
  found.push(
    ...Object.keys(there.schemas)
      .filter((name) => !compared.has(name))
      .map((name) => `component ${name}: is compared with nothing`),
  );
  const operationCount = Object.keys(there.operations).filter((key) => here.operations[key] !== undefined).length;
  return { differences: [...new Set(found)], operationCount, schemaCount: comparer.comparedCount() };
}
