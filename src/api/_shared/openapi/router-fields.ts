import Type from 'typebox';

const Flag = (description: string) => Type.Optional(Type.Union([Type.Boolean(), Type.Null()], { description }));
const Names = (description: string) => Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()], { description }));

/**
 * Fields of the body of a call that are the router's. They count where the project lets each call choose, are never sent to the model,
 * and as null are as if they were left out.
 */
export const routerFields = {
  preference: Type.Optional(
    Type.Union([Type.Literal('speed'), Type.Literal('cost'), Type.Literal('balanced'), Type.Null()], {
      description: 'What the upstreams of the model are ranked for. Without it, and without one of the project, their weights count.',
    }),
  ),
  allowed_providers: Names('The providers that may answer; an empty list is every provider.'),
  eu_native: Flag('Only upstreams that are based and regulated in the EU.'),
  allow_quantization: Flag('With false, no upstream that serves the model quantized.'),
  allow_zero_data_retention: Flag('With true, only upstreams that keep nothing.'),
  include_metadata: Flag('Put the routing trace into the answer, as its member `metadata`.'),
  enable_model_fallback: Flag('Let the models of `fallbacks` answer where the asked one cannot.'),
  fallbacks: Names('Ids or aliases of models, in the order of trial.'),
};

const TextFlag = Type.Optional(Type.Union([Type.Literal('true'), Type.Literal('false')]));
const TextNames = Type.Optional(
  Type.Union([Type.String(), Type.Array(Type.String())], { description: 'A field for each; `[]` may follow the name.' }),
);

/** The same as the fields of a form, which are texts. */
export const routerFormFields = {
  preference: Type.Optional(Type.Union([Type.Literal('speed'), Type.Literal('cost'), Type.Literal('balanced')])),
  allowed_providers: TextNames,
  eu_native: TextFlag,
  allow_quantization: TextFlag,
  allow_zero_data_retention: TextFlag,
  include_metadata: TextFlag,
  enable_model_fallback: TextFlag,
  fallbacks: TextNames,
};
