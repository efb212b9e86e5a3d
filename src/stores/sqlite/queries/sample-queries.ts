import type { Database } from 'better-sqlite3';
import { SAMPLE_COLUMNS, sampleFromRow, type SampleRow } from '../../_shared/sample-row.ts';
import type { Queries } from '../messages.ts';

/** By the primary key. */
export const SAMPLE_SQL = `
  SELECT ${SAMPLE_COLUMNS.join(', ')} FROM container_samples WHERE container_id = ? AND level_ms = ? AND bucket_ms >= ? ORDER BY bucket_ms`;

/** The query of what containers used of their hosts, prepared on a reading connection. */
export function makeSampleQueries(db: Database): Pick<Queries, 'containerSamples'> {
  const samples = db.prepare<[string, number, number], SampleRow>(SAMPLE_SQL);
  return { containerSamples: ({ containerId, levelMs, fromMs }) => samples.all(containerId, levelMs, fromMs).map(sampleFromRow) };
}
