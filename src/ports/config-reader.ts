import type { ConfigViolation } from '../core/containers/config/container-config.ts';
import type { PlainJson } from '../core/json/plain-json.ts';

/** Reads the text of a configuration as one plain value. */
export interface ConfigReader {
  /** One YAML document without aliases, merge keys, tags or doubled keys; else what is wrong with it. Bounded in size and depth. */
  read(
    text: string,
  ): { readonly ok: true; readonly value: PlainJson } | { readonly ok: false; readonly violations: readonly ConfigViolation[] };
}
