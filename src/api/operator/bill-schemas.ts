import Type from 'typebox';

const rule = (text: string): { rule: string } => ({ rule: text });

const AMOUNT = 'an amount in USD as a number or decimal string, negative where it is in the tenant\u2019s favour';

/** Body of `POST /tenants/{id}/bill-corrections`. */
export const CreateCorrectionBody = Type.Object(
  {
    amount_usd: Type.Union([Type.Number(), Type.String()], rule(AMOUNT)),
    reason: Type.String(rule('a string')),
    bill_id: Type.Optional(Type.Union([Type.String(), Type.Null()], rule('the id of a bill, or null'))),
  },
  { additionalProperties: false },
);
