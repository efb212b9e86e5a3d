import type { Effect } from '../effects.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { CommandBase } from '../verb.ts';

/** One thing that a command made happen: its type, such as `api_key.created`, and what subscribers see of it, without secrets. */
export interface Happening {
  readonly type: string;
  readonly data: PlainJson;
  /** The scope path that it concerns, where it concerns one. */
  readonly scope?: string;
  /** What is told beside the data. */
  readonly metadata?: PlainJson;
}

/** The event effects of `command`, with ids made of the command's own, so that a command that is run again makes the same ones. */
export const eventEffects = (command: CommandBase, nowMs: number, happenings: readonly Happening[]): Effect[] =>
  happenings.map(({ type, data, scope, metadata }, index) => ({
    type: 'event',
    event: {
      id: `evt_${command.id}_${index + 1}`,
      type,
      tenantId: command.tenantId,
      atMs: nowMs,
      data,
      ...(scope === undefined ? {} : { scope }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(command.origin === undefined ? {} : { origin: command.origin }),
    },
  }));
