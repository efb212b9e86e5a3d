import Type from 'typebox';

const rule = (text: string): { rule: string } => ({ rule: text });
const maybe = () => Type.Optional(Type.Union([Type.String(), Type.Null()], rule('a string')));

/** Body of `POST /api/secrets`. Unknown fields are ignored. */
export const CreateSecretBody = Type.Object({ name: Type.String(rule('a string')), value: Type.String(rule('a string')) });

/** Body of `PUT /api/secrets/:name`. */
export const UpdateSecretBody = Type.Object({ value: Type.String(rule('a string')) });

/** Body of `PUT /api/registry-credentials/:registry`: which fields it needs depends on the registry. */
export const RegistryCredentialBody = Type.Object({ username: maybe(), token: maybe(), key: maybe() });
