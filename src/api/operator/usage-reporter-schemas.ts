import Type from 'typebox';

const rule = (text: string): { rule: string } => ({ rule: text });

const Text = Type.String(rule('a string'));
const Tenants = Type.Array(Text, rule('a list of tenant ids'));

/** Body of `POST /usage-reporters`. Without a secret one is made. */
export const CreateUsageReporterBody = Type.Object(
  { id: Text, tenants: Tenants, secret: Type.Optional(Text) },
  { additionalProperties: false },
);

/** Body of `PATCH /usage-reporters/{id}`. */
export const UpdateUsageReporterBody = Type.Object(
  {
    tenants: Type.Optional(Tenants),
    secret: Type.Optional(Text),
    rotate_secret: Type.Optional(Type.Boolean(rule('true or false'))),
    grace_seconds: Type.Optional(Type.Integer({ ...rule('a whole number that is at least 0'), minimum: 0 })),
  },
  { additionalProperties: false },
);
