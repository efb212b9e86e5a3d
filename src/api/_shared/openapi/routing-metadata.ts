import Type from 'typebox';
import { named, object, orNull } from './operation.ts';

const Provider = Type.String({ description: 'The slug of a provider.' });
const Usd = Type.Number({ description: 'USD.' });

/** How the upstream of a call was chosen, as `include_metadata` puts it into the answer. Source: Cortecs, `metadata`. */
export const RoutingMetadata = named(
  'RoutingMetadata',
  object(
    {
      routing_results: object({
        selected_provider: Provider,
        selected_upstream: Type.String({ description: 'The id of the upstream that answered.' }),
        selected_model: Type.String({ description: 'The model that answered: the one asked for, or one of `fallbacks`.' }),
        applied_filters: Type.Array(Type.String()),
        cost: orNull(
          object({ prompt_cost: Usd, completion_cost: Usd, total_cost: Usd, currency: Type.Literal('USD') }),
          'What the call cost; null where the upstream has no price.',
        ),
        latency_ms: Type.Integer({ description: 'From the hold to the end of the answer.' }),
      }),
      routing_trace: object({
        initial_candidates: Type.Array(Provider, { description: 'Of every upstream of the models in question.' }),
        filtered_out_candidates: Type.Array(
          object({
            provider: orNull(Type.String(), 'Null where a whole model was passed over.'),
            upstream: orNull(Type.String()),
            model: Type.String(),
            filter_failed: Type.String(),
            reason: Type.String(),
          }),
        ),
        scored_candidates: Type.Array(
          object({
            provider: Provider,
            upstream: Type.String(),
            model: Type.String(),
            score: orNull(Type.Number()),
            scoring_context: object({
              estimated_cost_usd: orNull(Type.Number()),
              estimated_time_ms: orNull(Type.Integer(), 'Null where it has not been measured lately.'),
            }),
            status: Type.Union([Type.Literal('success'), Type.Literal('failed'), Type.Literal('not_attempted')]),
          }),
          { description: 'In the order of trial.' },
        ),
        scoring_function: object({
          function: Type.Union([Type.Literal('cost'), Type.Literal('speed'), Type.Literal('balanced'), Type.Literal('weight')]),
          sort: Type.Union([Type.Literal('min'), Type.Literal('max')]),
        }),
      }),
    },
    { description: 'Only where the call, or its project, asks for it by `include_metadata`.' },
  ),
);
