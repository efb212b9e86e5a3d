import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';
import type { Answer, Operation } from '../../src/api/_shared/openapi/operation.ts';
import { surfaceAt } from '../../src/api/_shared/openapi/document.ts';
import { SURFACES } from '../../src/server/surfaces.ts';

type Shape = {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly patternProperties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  readonly anyOf?: readonly Shape[];
  readonly additionalProperties?: unknown;
  /** Whatever its maker wants: the document tells that it is an object and no more. */
  readonly documentAs?: unknown;
};

/** The description of a route, by its method and pattern. */
export function operationAt(key: string): { readonly operation: Operation; readonly error: TSchema | null } {
  const surface = surfaceAt(SURFACES, key.slice(key.indexOf(' ') + 1));
  const operation = surface?.operations[key];
  if (surface === undefined || operation === undefined) throw new Error(`${key} is not described`);
  return { operation, error: surface.errors?.form ?? null };
}

/** What an answer of a route has that its description has not, or the other way round; empty where both agree. */
export function disagreements(key: string, answer: { readonly status: number; readonly text: string; readonly type: string }): string[] {
  const { operation, error } = operationAt(key);
  const described = operation.answers[answer.status];
  const answers: readonly Answer[] =
    described === undefined ? [] : Array.isArray(described) ? (described as readonly Answer[]) : [described as Answer];
  if (answers.length === 0 && (answer.status < 400 || error === null)) return [`${key} answers ${answer.status}, which is not described`];
  const schemas = answers.length === 0 ? [error as TSchema] : answers.flatMap(({ schema }) => (schema === undefined ? [] : [schema]));
  if (schemas.length === 0) return answer.text === '' ? [] : [`${key} has a body at ${answer.status}, and its description has none`];
  const wantsText = answers.some(
    ({ mediaType = 'application/json' }) => mediaType !== 'application/json' && answer.type.startsWith(mediaType.replace(/\*$/, '')),
  );
  const value: unknown = wantsText ? answer.text : JSON.parse(answer.text);
  const fitting = schemas.find((schema) => Compile(schema).Check(value));
  if (fitting === undefined) {
    const [first] = Compile(schemas[0] as TSchema).Errors(value);
    return [`${key} answers ${answer.status} with what its description refuses: ${first?.instancePath} ${first?.message}`];
  }
  return unknownFields(fitting as Shape, value).map((path) => `${key} answers ${answer.status} with ${path}, which is not described`);
}

/** Paths of fields that a schema does not name, where it does not say that there may be others. */
function unknownFields(shape: Shape, value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => unknownFields(itemsOf(shape), item, `${path}[]`));
  if (typeof value !== 'object' || value === null || isOpen(shape)) return [];
  const alternatives = [shape, ...(shape.anyOf ?? [])].filter(
    ({ properties, patternProperties, additionalProperties: others }) =>
      properties ?? patternProperties ?? (others === true || isShape(others)),
  );
  const results = alternatives.map((each) =>
    Object.entries(value).flatMap(([name, inner]) => {
      const known = each.properties?.[name] ?? Object.values(each.patternProperties ?? {})[0] ?? othersOf(each);
      if (known !== undefined) return unknownFields(known, inner, `${path}.${name}`);
      return each.additionalProperties === true ? [] : [`${path}.${name}`];
    }),
  );
  return results.toSorted((a, b) => a.length - b.length)[0] ?? [path];
}

const isOpen = ({ documentAs, anyOf, properties }: Shape): boolean =>
  documentAs !== undefined && anyOf === undefined && properties === undefined;

const isShape = (others: unknown): others is Shape => typeof others === 'object' && others !== null;

const othersOf = ({ additionalProperties: others }: Shape): Shape | undefined => (isShape(others) ? others : undefined);

const itemsOf = (shape: Shape): Shape => shape.items ?? shape.anyOf?.find(({ items }) => items !== undefined)?.items ?? {};
