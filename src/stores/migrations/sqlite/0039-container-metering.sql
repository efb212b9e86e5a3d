-- How far each container is metered.
CREATE TABLE container_meters (
  id TEXT PRIMARY KEY,
  body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What containers used of their hosts, summed by bucket at several lengths of bucket. No record: a sample is no change that other nodes
-- have to hear of. Shares in thousandths of a percent, memory in bytes.
CREATE TABLE container_samples (
  container_id TEXT NOT NULL,
  level_ms INTEGER NOT NULL,
  bucket_ms INTEGER NOT NULL,
  samples INTEGER NOT NULL,
  cpu_sum INTEGER NOT NULL,
  cpu_max INTEGER NOT NULL,
  memory_sum INTEGER NOT NULL,
  memory_max INTEGER NOT NULL,
  memory_total INTEGER NOT NULL,
  gpu_samples INTEGER NOT NULL,
  gpu_sum INTEGER NOT NULL,
  gpu_max INTEGER NOT NULL,
  gpu_memory_sum INTEGER NOT NULL,
  gpu_memory_max INTEGER NOT NULL,
  gpu_memory_total INTEGER NOT NULL,
  PRIMARY KEY (container_id, level_ms, bucket_ms)
) STRICT, WITHOUT ROWID;

-- For pruning.
CREATE INDEX container_samples_by_age ON container_samples (level_ms, bucket_ms);
