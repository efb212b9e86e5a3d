import type { Setting } from '../records.ts';
import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import type { InitSettingCommand } from './commands.ts';

/** Writes a setting unless it exists; never refuses. The value is the setting that stands, so that nodes that start together agree. */
export const initSettingVerb: Verb<InitSettingCommand, Setting> = {
  needs: (command) => ({ tenantLock: 'exclusive', records: [{ kind: 'setting', id: command.setting.id }] }),
  decide: (state, command) => {
    const { setting } = command;
    const before = state.record('setting', setting.id);
    if (before !== undefined) return { outcome: accepted(before), effects: [] };
    return { outcome: accepted(setting), effects: [{ type: 'record', kind: 'setting', id: setting.id, record: setting }] };
  },
};
