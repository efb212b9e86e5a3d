import type { Verb } from '../verb.ts';
import type { EventCommand } from './commands.ts';
import { tellKeyExpiryVerb, watchSharesVerb } from './decide-key-expiry.ts';
import { setAlertVerb, tellEventsVerb } from './decide-tell.ts';

/** The decisions about events, by verb. */
export const EVENT_VERBS = {
  'tell-events': tellEventsVerb,
  'set-alert': setAlertVerb,
  'tell-key-expiry': tellKeyExpiryVerb,
  'watch-shares': watchSharesVerb,
} as const satisfies { readonly [K in EventCommand['verb']]: Verb<Extract<EventCommand, { verb: K }>, unknown> };
