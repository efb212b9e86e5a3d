import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { expect } from 'vitest';
import type { Answer, Operation } from '../../src/api/_shared/openapi/operation.ts';
import { GOVERNANCE_OPERATIONS } from '../../src/api/cycles-governance/operations.ts';
import { GovernanceError } from '../../src/api/cycles-governance/schemas/common.ts';
import { EVENT_DATA } from '../../src/api/cycles-governance/schemas/event-data.ts';
import { CyclesEvent } from '../../src/api/cycles-governance/schemas/events.ts';
import { RUNTIME_OPERATIONS } from '../../src/api/cycles-runtime/operations.ts';
import { RuntimeError } from '../../src/api/cycles-runtime/schemas.ts';
import { isEventType } from '../../src/core/cycles/event-types.ts';

/** The two planes of the Cycles protocol. */
export type Plane = 'runtime' | 'governance';

const PLANES = {
  runtime: { operations: Object.values(RUNTIME_OPERATIONS), error: RuntimeError },
  governance: { operations: Object.values(GOVERNANCE_OPERATIONS), error: GovernanceError },
} as const;

/** What any route may answer with, whatever it does: before it is reached, or because of us. */
const ANYWHERE: ReadonlySet<number> = new Set([400, 405, 408, 413, 415, 421, 429, 500, 503]);

const validators = new Map<TSchema, ReturnType<typeof Compile>>();

function problems(schema: TSchema, body: unknown, at = ''): string[] {
  const validator = validators.get(schema) ?? Compile(schema);
  validators.set(schema, validator);
  return validator.Check(body) ? [] : validator.Errors(body).map(({ instancePath, message }) => `${at}${instancePath} ${message}`);
}

/** What the events of an answer hold that their types do not allow, wherever they stand in it. */
function eventProblems(value: unknown, at = ''): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item, index) => eventProblems(item, `${at}/${index}`));
  const { event_id: id, event_type: type, data, category } = value as Record<string, unknown>;
  // A delivery names an event and its type, too; only an event has a category.
  if (typeof id === 'string' && typeof type === 'string' && category !== undefined) {
    if (!isEventType(type)) return [`${at}/event_type is not registered: ${type}`];
    const wrong = category === type.slice(0, type.indexOf('.')) ? [] : [`${at}/category is not that of ${type}`];
    return data === undefined ? wrong : [...wrong, ...problems(EVENT_DATA[type], data, `${at}/data`)];
  }
  return Object.entries(value).flatMap(([name, inner]) => eventProblems(inner, `${at}/${name}`));
}

const planeOf = (id: string): Plane | undefined =>
  (['runtime', 'governance'] as const).find((plane) => PLANES[plane].operations.some((operation) => operation.id === id));

/**
 * What an answer has that the closed schema of its operation and status does not allow, or lacks; empty where it is right. Bodies may
 * hold numbers, or bigints where a reader kept all digits. Without a body, `body` is undefined.
 */
export function answerProblems(operationId: string, status: number, body: unknown, plane = planeOf(operationId)): string[] {
  const operation: Operation | undefined = plane && PLANES[plane].operations.find(({ id }) => id === operationId);
  if (plane === undefined || operation === undefined) return [`no operation is called ${operationId}`];
  const described = operation.answers[status];
  if (described !== undefined) {
    const { schema } = described as Answer;
    if (schema === undefined) return body === undefined ? [] : [`${operationId} has no body at ${status}`];
    return [...problems(schema, body), ...eventProblems(body)];
  }
  if (operation.errors?.includes(status) !== true && !ANYWHERE.has(status)) return [`${operationId} does not answer ${status}`];
  return problems(PLANES[plane].error, body);
}

/**
 * Fails unless `body` is exactly what the operation may answer with at `status`: every required field, no unknown one, every value in its
 * form; an error of the plane's closed set of codes; events with the data of their types.
 *
 * Both planes have a `getBalances`: the runtime's is meant unless `plane` says otherwise.
 */
export function expectAnswer(operationId: string, status: number, body: unknown, plane?: Plane): void {
  expect(answerProblems(operationId, status, body, plane), `${operationId} ${status}`).toEqual([]);
}

/** Fails unless `body` is an error of a plane, for what belongs to no operation, such as an unknown path. */
export function expectCyclesError(plane: Plane, body: unknown): void {
  expect(problems(PLANES[plane].error, body), `an error of the ${plane} plane`).toEqual([]);
}

/** Fails unless `body` is an event with the data of its type, as a webhook gets it. */
export function expectEvent(body: unknown): void {
  expect([...problems(CyclesEvent, body), ...eventProblems(body)], 'an event').toEqual([]);
}
