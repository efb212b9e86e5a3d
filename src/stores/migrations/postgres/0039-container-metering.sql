-- How far each container is metered.
CREATE TABLE container_meters (
  id text COLLATE "C" PRIMARY KEY,
  body json NOT NULL
);

-- What containers used of their hosts, summed by bucket at several lengths of bucket. No record: a sample is no change that other nodes
-- have to hear of. Shares in thousandths of a percent, memory in bytes.
CREATE TABLE container_samples (
  container_id text COLLATE "C" NOT NULL,
  level_ms bigint NOT NULL,
  bucket_ms bigint NOT NULL,
  samples bigint NOT NULL,
  cpu_sum bigint NOT NULL,
  cpu_max bigint NOT NULL,
  memory_sum bigint NOT NULL,
  memory_max bigint NOT NULL,
  memory_total bigint NOT NULL,
  gpu_samples bigint NOT NULL,
  gpu_sum bigint NOT NULL,
  gpu_max bigint NOT NULL,
  gpu_memory_sum bigint NOT NULL,
  gpu_memory_max bigint NOT NULL,
  gpu_memory_total bigint NOT NULL,
  PRIMARY KEY (container_id, level_ms, bucket_ms)
);

-- For pruning.
CREATE INDEX container_samples_by_age ON container_samples (level_ms, bucket_ms);
