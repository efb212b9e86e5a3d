import { checkConfig } from '../../src/core/containers/config/check-config.ts';
import type { ConfigResult } from '../../src/core/containers/config/container-config.ts';
import type { PlainJson } from '../../src/core/json/plain-json.ts';

export const CONFIG_DIGEST = `sha256:${'ab'.repeat(32)}`;
export const CONFIG_IMAGE = `ghcr.io/acme/web@${CONFIG_DIGEST}`;
/** The least that is a configuration. */
export const MINIMAL_CONFIG = { containers: [{ name: 'web', image: CONFIG_IMAGE }], shim: { 'upstream-port': 8080 } };

export type Fields = { readonly [name: string]: PlainJson };

/** The least configuration with other fields at its top, in its one container, or in its shim. */
export const withTop = (fields: Fields): Fields => ({ ...MINIMAL_CONFIG, ...fields });
export const withUnit = (fields: Fields, top: Fields = {}): Fields =>
  withTop({ ...top, containers: [{ name: 'web', image: CONFIG_IMAGE, ...fields }] });
export const withShim = (fields: Fields): Fields => withTop({ shim: { 'upstream-port': 8080, ...fields } });

/** What a configuration comes to that is to be accepted. */
export function accepted(value: PlainJson): Extract<ConfigResult, { ok: true }> {
  const result = checkConfig(value);
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.violations)}`);
  return result;
}

/** Each violation as one line; none for a configuration that is accepted. */
export const violationsOf = (value: PlainJson): string[] => {
  const result = checkConfig(value);
  return result.ok ? [] : result.violations.map(({ path, rule }) => `${path} ${rule}`);
};
