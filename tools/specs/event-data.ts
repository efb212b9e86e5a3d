import { isJson, type Components } from './shape.ts';

const NAME = /^EventData/;

/**
 * Differences between what the published document says in words of which types of events each `EventData` schema is for, and the table
 * `byType`, which gives the component's name for each type. A type that the words give to no schema, or to several, is told, too.
 */
export function compareEventData(
  published: { readonly types: readonly string[]; readonly schemas: Components },
  byType: Readonly<Record<string, string>>,
): string[] {
  const { types, schemas } = published;
  const payloads = Object.entries(schemas).filter(([name, schema]) => NAME.test(name) && isJson(schema));
  const mentions = (description: unknown, type: string): boolean =>
    typeof description === 'string' && description.split(/[^a-z_.]+/).some((word) => word.replace(/\.$/, '') === type);
  const found = types.flatMap((type) => {
    const meant = payloads.filter(([, schema]) => mentions(schema['description'], type)).map(([name]) => name);
    const theirs = meant.join(' and ') || 'nothing';
    const ours = byType[type] ?? 'nothing';
    return theirs === ours && ours !== 'nothing' ? [] : [`event ${type}: data is ${theirs} there and ${ours} here`];
  });
  return [...found, ...Object.keys(byType).flatMap((type) => (types.includes(type) ? [] : [`event ${type}: is only here`]))];
}
