-- Prompt tokens that an upstream wrote into its cache: a part of prompt_tokens with a price of its own.
ALTER TABLE usage_tail ADD COLUMN cache_write_prompt_tokens bigint NOT NULL DEFAULT 0
  CONSTRAINT usage_cache_writes_not_negative CHECK (cache_write_prompt_tokens >= 0);
ALTER TABLE usage_events ADD COLUMN cache_write_prompt_tokens bigint NOT NULL DEFAULT 0
  CONSTRAINT usage_cache_writes_not_negative CHECK (cache_write_prompt_tokens >= 0);
