import type { RecordStore } from '../../ports/record-store.ts';
import { SAMPLE_COLUMNS, sampleFromRow, type SampleRow } from '../_shared/sample-row.ts';
import type { Reader } from './reader.ts';
import type { Statement } from './statement.ts';

// Index: container_samples_pkey.
const SAMPLES: Statement = {
  name: 'container_samples',
  text: `
    SELECT ${SAMPLE_COLUMNS.join(', ')} FROM container_samples
    WHERE container_id = $1 AND level_ms = $2::bigint AND bucket_ms >= $3::bigint ORDER BY bucket_ms`,
};

/** Makes the reads of what containers used of their hosts. */
export const makeSampleReads = (reader: Reader): Pick<RecordStore, 'containerSamples'> => ({
  containerSamples: async ({ containerId, levelMs, fromMs }) =>
    (await reader.rows<SampleRow>(SAMPLES, [containerId, levelMs, fromMs])).map(sampleFromRow),
});
