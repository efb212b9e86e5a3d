/**
 * The configuration, or what it points at, does not allow a start.
 *
 * `message` is one sentence for the operator: what is wrong, where, and how to mend it. It never holds a secret.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Exit code of a start that was stopped by a {@link ConfigError}; the `EX_CONFIG` of sysexits. */
export const CONFIG_EXIT_CODE = 78;
