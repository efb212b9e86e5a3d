import Type from 'typebox';
import { JsonObject } from '../_shared/validation.ts';

const rule = (text: string): { rule: string } => ({ rule: text });
const closed = { additionalProperties: false };
const DATE_TIME = 'an RFC 3339 timestamp such as 2025-09-25T08:29:50.735Z';

/** Body of `POST /manage/api-keys`. */
export const CreateKeyBody = Type.Object(
  { name: Type.String(rule('a string')), is_management_key: Type.Optional(Type.Boolean(rule('true or false'))) },
  closed,
);

/** Body of `DELETE /manage/api-keys`; clients that cannot send one name the key in the query. */
export const DeleteKeyBody = Type.Union([Type.Object({ name: Type.String(rule('a string')) }, closed), Type.Null()]);

/**
 * Body of `PUT /manage/project-configs`. The two moments make an answer of `GET` good as a body, and so do `_id` and `project_id`;
 * `active` and `schema_version` are an earlier version's. None of the six sets anything.
 */
export const ProjectConfigBody = Type.Object(
  {
    created_at: Type.String(rule(DATE_TIME)),
    updated_at: Type.String(rule(DATE_TIME)),
    allow_overwrite: Type.Optional(Type.Union([Type.Boolean(), Type.Null()], rule('true, false or null'))),
    inference_config: Type.Optional(Type.Union([JsonObject, Type.Null()], rule('an object or null'))),
    _id: Type.Optional(Type.String(rule('a string'))),
    project_id: Type.Optional(Type.String(rule('a string'))),
    active: Type.Optional(Type.Union([Type.Boolean(), Type.Null()], rule('true, false or null'))),
    schema_version: Type.Optional(Type.Union([Type.String(), Type.Null()], rule('a string or null'))),
  },
  closed,
);
