import { SPEEDS_SETTING } from '../../core/access/decide-speeds.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { CommandWriter } from './call-types.ts';
import type { UpstreamSpeeds } from './upstream-speeds.ts';

/** Carries what is known of the speed of upstreams over a restart. */
export interface KeptSpeeds {
  /** Takes in what was kept. */
  load(): Promise<void>;
  /** Writes down what is known, if anything came in since. What cannot be written stays for the next time. */
  save(): Promise<void>;
}

/** Makes {@link KeptSpeeds}. A kill loses what was measured since the last save: the upstreams are measured again. */
export function makeKeptSpeeds(deps: {
  readonly speeds: UpstreamSpeeds;
  readonly writer: Pick<CommandWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record'>;
  readonly ids: Pick<Ids, 'next'>;
}): KeptSpeeds {
  const { speeds, writer, records, ids } = deps;
  return {
    load: async () => speeds.load((await records.record('setting', SPEEDS_SETTING))?.value),
    save: async () => {
      const unsaved = speeds.unsaved();
      if (unsaved === null) return;
      await writer.execute({ verb: 'keep-speeds', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, speeds: unsaved.value });
      unsaved.done();
    },
  };
}
