-- Prompt tokens that an upstream wrote into its cache: a part of prompt_tokens with a price of its own.
ALTER TABLE usage_tail ADD COLUMN cache_write_prompt_tokens INTEGER NOT NULL DEFAULT 0 CHECK (cache_write_prompt_tokens >= 0);
ALTER TABLE usage_events ADD COLUMN cache_write_prompt_tokens INTEGER NOT NULL DEFAULT 0;
