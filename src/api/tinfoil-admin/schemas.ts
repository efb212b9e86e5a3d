import Type from 'typebox';
import { Int64, JsonObject } from '../_shared/validation.ts';

const rule = (text: string): { rule: string } => ({ rule: text });

const Name = Type.String(rule('a string'));
const KeyValue = Type.String(rule('the full value of an API key, as a string'));
const NullOr = <T extends Parameters<typeof Type.Optional>[0]>(type: T, text: string) =>
  Type.Optional(Type.Union([type, Type.Null()], rule(text)));

/** Body of `POST /api/keys`. Unknown fields are ignored, as later clients of this API send some. */
export const CreateKeyBody = Type.Object({
  name: Name,
  expires_at: NullOr(Type.String(), 'an RFC 3339 timestamp such as 2026-12-31T23:59:59Z, or null'),
  max_tokens: NullOr(Int64, 'a whole number, or null'),
  metadata: NullOr(JsonObject, 'a JSON object, or null'),
});

/** Body of `POST /api/keys/update`. `disabled` and `expires_at` are ours. */
export const UpdateKeyBody = Type.Object({
  key: KeyValue,
  name: NullOr(Type.String(), 'a string'),
  max_tokens: NullOr(Int64, 'a whole number'),
  disabled: NullOr(Type.Boolean(), 'true or false'),
  expires_at: NullOr(Type.String(), 'an RFC 3339 timestamp such as 2026-12-31T23:59:59Z, or null'),
});

/** Body of `POST /api/keys/rename`, which the newest document replaced by update. */
export const RenameKeyBody = Type.Object({ key: KeyValue, name: Name });

/** Body of `POST /api/shim/validate-key`. What the key is to be used for changes nothing here. Unknown fields are ignored. */
export const ValidateKeyBody = Type.Object({
  api_key: KeyValue,
  domain: NullOr(Type.String(), 'a string'),
  requested_host: NullOr(Type.String(), 'a string'),
  path: NullOr(Type.String(), 'a string'),
});

/** Body of `POST /api/shim/route-context`. */
export const RouteContextBody = Type.Object({ api_key: KeyValue });

/** Body of `POST /api/billing/usage/key`; empty where the key stands in the query. */
export const KeyUsageBody = Type.Union([Type.Object({ key: Type.Optional(KeyValue) }), Type.Null()]);
