import type { DomainEvent, Effect } from '../effects.ts';
import { accepted } from '../rejection.ts';
import type { CommandBase, Verb } from '../verb.ts';
import type { SetAlertCommand, TellEventsCommand, Telling } from './commands.ts';

/** The effects that tell of `tellings`, with ids made of the command's own, so that a command that is run again makes the same ones. */
export const tellingEffects = (command: CommandBase, nowMs: number, tellings: readonly Telling[]): Effect[] =>
  tellings.map((telling, index): { readonly type: 'event'; readonly event: DomainEvent } => ({
    type: 'event',
    event: { ...telling, id: `evt_${command.id}_${index + 1}`, tenantId: command.tenantId, atMs: nowMs },
  }));

/** Writes events that no change of a row goes with, such as refusals. The value is how many. Never rejects. */
export const tellEventsVerb: Verb<TellEventsCommand, number> = {
  needs: () => ({ tenantLock: 'shared' }),
  decide: (_state, command, nowMs) => ({
    outcome: accepted(command.tellings.length),
    effects: tellingEffects(command, nowMs, command.tellings),
  }),
};

const alertRef = ({ tenantId, alert }: SetAlertCommand) => ({ tenantId, operation: 'alert', target: alert, key: 'state' });

/**
 * Tells of what lasts once, when it begins, whoever notices and however often: on any number of nodes, and over restarts. The value is
 * whether this command told of it. Never rejects.
 */
export const setAlertVerb: Verb<SetAlertCommand, boolean> = {
  needs: (command) => ({ tenantLock: 'shared', idempotency: [alertRef(command)] }),
  decide: (state, command, nowMs) => {
    const { telling, keepMs } = command;
    const ref = alertRef(command);
    const known = state.idempotency(ref);
    const isGoingOn = known !== undefined && known.expiresAtMs > nowMs;
    if (telling === null) {
      if (!isGoingOn) return { outcome: accepted(false), effects: [] };
      return { outcome: accepted(false), effects: [{ type: 'idempotency', ref, record: { ...known, expiresAtMs: nowMs } }] };
    }
    const record = { hash: '', answer: true, expiresAtMs: nowMs + keepMs };
    const remember: Effect = { type: 'idempotency', ref, record };
    return { outcome: accepted(!isGoingOn), effects: isGoingOn ? [remember] : [remember, ...tellingEffects(command, nowMs, [telling])] };
  },
};
