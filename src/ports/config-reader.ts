import type { ConfigViolation } from '../core/containers/config/container-config.ts';
import type { Findings } from '../core/containers/config/findings.ts';
import type { PlainJson } from '../core/json/plain-json.ts';

/** Reads the text of a configuration as one plain value. */
export interface ConfigReader {
  /**
   * One YAML document without aliases, merge keys, tags or doubled keys; else what is wrong with it, which goes into `findings` too, and the value
   * without what cannot be told: undefined where the text is no such document at all. Bounded in size and depth.
   */
  read(
    text: string,
    findings?: Findings,
  ):
    | { readonly ok: true; readonly value: PlainJson }
    | { readonly ok: false; readonly violations: readonly ConfigViolation[]; readonly value?: PlainJson };
}
