import Type, { type TSchema } from 'typebox';
import { CYCLES_UNITS } from '../../../core/cycles/units.ts';
import { SortDirection } from '../../_shared/cycles-schemas.ts';
import type { Answer, Parameter } from '../../_shared/openapi/operation.ts';

/** What each route of the plane may answer with. */
export const EVERYWHERE = [400, 401, 403];

/** Routes that the operator and a tenant's key may use. */
export const EITHER = ['tenantKey', 'operatorKey'] as const;

/** Routes that only a tenant's key may use. */
export const TENANT = ['tenantKey'] as const;

/** An answer with a body. */
export const answer = (description: string, schema: TSchema): Answer => ({ description, schema });

/** A parameter that is any string. */
export const words = (description: string): Parameter => ({ description, schema: Type.String() });

/** A parameter that is one of `values`. */
export const choice = (description: string, values: readonly string[]): Parameter => ({
  description,
  schema: Type.String({ enum: [...values] }),
});

/** A parameter that is true or false. */
export const flag = (description: string): Parameter => ({ description, schema: Type.Boolean() });

/** A parameter that is a share. */
export const share = (description: string): Parameter => ({
  description,
  schema: Type.Number({ format: 'double', minimum: 0, maximum: 1 }),
});

/** A parameter that is a moment. */
export const moment = (description: string): Parameter => ({ description, schema: Type.String({ format: 'date-time' }) });

/** Which trace an item belongs to. */
export const traceFilter: Parameter = { description: 'Only those of this trace.', schema: Type.String({ pattern: '^[0-9a-f]{32}$' }) };

/** The part of a list that a request asks for. */
export const page: Readonly<Record<string, Parameter>> = {
  cursor: words('The `next_cursor` of the page before, of the same list, filters and order.'),
  limit: {
    description: 'Items in a page, from 1 to 100; a number beyond is taken for the nearest of them.',
    schema: Type.Integer({ default: 50 }),
  },
};

/** What a list is searched for. */
export const search: Parameter = {
  description: 'Only those that hold this text, in letters of either case.',
  schema: Type.String({ maxLength: 128 }),
};

/** By what a list is sorted, of `keys`. */
export const sorting = (keys: readonly string[], fallback: string): Readonly<Record<string, Parameter>> => ({
  sort_by: { description: 'By what they are sorted; ties by their ids.', schema: Type.String({ enum: [...keys], default: fallback }) },
  sort_dir: { description: 'In which direction.', schema: SortDirection },
});

/** The budget that a request is about. */
export const budgetQuery: Readonly<Record<string, Parameter>> = {
  scope: { ...words('The scope of the budget, such as `tenant:acme/app:bot`.'), required: true },
  unit: { ...choice('Its unit.', CYCLES_UNITS), required: true },
};
