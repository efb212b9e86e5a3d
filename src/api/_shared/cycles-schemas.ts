import Type, { type Static } from 'typebox';
import type { OveragePolicy } from '../../core/ledger/account.ts';
import { CYCLES_UNITS } from '../../core/cycles/units.ts';
import { closed, listOf, Metadata, oneOf, patterned, SignedInt64, text, UnsignedInt64, whole } from './cycles-fields.ts';

/** The units of Cycles budgets. Source: `UnitEnum` of both Cycles documents. */
export const Unit = oneOf(CYCLES_UNITS);

/** A quantity that is not negative, with its unit. Source: `Amount` of both Cycles documents. */
export const Amount = closed({ unit: Unit, amount: UnsignedInt64 }, 'Amount');
export type Amount = Static<typeof Amount>;

/** A quantity with its unit, such as what remains of a budget. Source: `SignedAmount` of both Cycles documents. */
export const SignedAmount = closed({ unit: Unit, amount: SignedInt64 }, 'SignedAmount');

/** What becomes of an actual amount above the held one. Source: `CommitOveragePolicy` of both Cycles documents. */
export const CommitOveragePolicy = oneOf([
  'REJECT',
  'ALLOW_IF_AVAILABLE',
  'ALLOW_WITH_OVERDRAFT',
] as const satisfies readonly OveragePolicy[]);

const ToolNames = listOf(text({ max: 256 }), 'a list of strings of at most 256 characters');

/** Advice to a caller on how far it may go. Source: `Caps` of both Cycles documents. */
export const Caps = closed(
  {
    max_tokens: Type.Optional(whole(0)),
    max_steps_remaining: Type.Optional(whole(0)),
    tool_allowlist: Type.Optional(ToolNames),
    tool_denylist: Type.Optional(ToolNames),
    cooldown_ms: Type.Optional(whole(0)),
  },
  'Caps',
);
export type Caps = Static<typeof Caps>;

/** The id of a trace, as W3C Trace Context writes it. */
export const TraceId = patterned('^[0-9a-f]{32}$', '32 hexadecimal digits in lower case');

/** The body of an error of one plane, whose codes are a closed set. Source: `ErrorResponse` of both Cycles documents. */
export const errorOf = <const C extends readonly string[]>(codes: C, title: string) =>
  closed(
    {
      error: oneOf(codes),
      message: Type.String(),
      request_id: Type.String(),
      trace_id: Type.Optional(TraceId),
      details: Type.Optional(Metadata),
    },
    title,
  );

/** Parameters of a query that both planes know; the routes read queries by themselves, this is what the document tells. */
export const SortDirection = Type.String({ enum: ['asc', 'desc'], default: 'desc' });
