/** One variable of a unit's environment. `value` null: it comes from the deployment's variables. */
export interface UnitVariable {
  readonly name: string;
  readonly value: string | null;
}

/**
 * How the engine asks a unit whether it is well. Lengths in milliseconds. `test` begins with `CMD`, `CMD-SHELL` or `NONE`; empty: what the image asks,
 * with these lengths.
 */
export interface UnitHealthcheck {
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly startPeriodMs: number;
}

/** When the engine starts a unit again that ended. `maximumRetries` counts for `on-failure` only; 0 is without end. */
export interface UnitRestart {
  readonly name: 'no' | 'always' | 'on-failure' | 'unless-stopped';
  readonly maximumRetries: number;
}

/**
 * One Docker container of a deployment. Null stands for what the image says, or for no limit of its own. `image` is as written, with its digest;
 * `digest` is that alone, `sha256:` and 64 hex digits. Sizes in bytes; `cpus` may be a fraction.
 */
export interface UnitConfig {
  readonly name: string;
  readonly image: string;
  readonly digest: string;
  readonly command: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly workingDir: string | null;
  readonly user: string | null;
  readonly env: readonly UnitVariable[];
  readonly secrets: readonly string[];
  readonly volumes: readonly { readonly name: string; readonly path: string }[];
  readonly networks: readonly string[];
  readonly ports: readonly { readonly hostPort: number; readonly containerPort: number }[];
  readonly gpus: number | 'all' | readonly string[] | null;
  readonly ipc: 'private' | 'none' | null;
  readonly capAdd: readonly string[];
  readonly shmBytes: number | null;
  readonly memoryBytes: number | null;
  readonly cpus: number | null;
  readonly tmpfs: readonly { readonly path: string; readonly options: string }[];
  readonly readOnly: boolean;
  readonly pidsLimit: number;
  readonly restart: UnitRestart;
  readonly stopSignal: string | null;
  readonly stopTimeoutS: number | null;
  readonly healthcheck: UnitHealthcheck | null;
}

/** A network between the units of a deployment. */
export interface NetworkConfig {
  readonly name: string;
  readonly egress: 'closed' | 'allowlist' | 'open';
  readonly allow: readonly string[];
}

/** A volume that stays when deployments go. `owner` is a user id; null: what the image says of the place. */
export interface VolumeConfig {
  readonly name: string;
  readonly exec: boolean;
  readonly owner: number | null;
}

/**
 * What stands before the unit that serves. Empty `paths`: every path; `origins` null: no rule about origins. `authenticatedEndpoints` null: the one
 * that the schema names; empty: none. `rateLimit` is requests a second of one key.
 */
export interface ShimConfig {
  readonly upstreamUnit: string;
  readonly upstreamPort: number;
  readonly paths: readonly string[];
  readonly origins: readonly string[] | null;
  readonly authenticated: boolean;
  readonly authenticatedEndpoints: readonly string[] | null;
  readonly rateLimit: number | null;
  readonly rateBurst: number | null;
}

/** A `tinfoil-config.yml` that keeps every rule, as plain data. Source: Tinfoil reference section 3. */
export interface ContainerConfig {
  readonly cvmVersion: string | null;
  readonly cpus: number | null;
  readonly memoryMb: number | null;
  readonly gpus: number;
  readonly units: readonly UnitConfig[];
  readonly networks: readonly NetworkConfig[];
  readonly volumes: readonly VolumeConfig[];
  readonly shim: ShimConfig;
}

/**
 * A rule that a configuration breaks: where (`containers[1].env[0]`, or `tinfoil-config.yml` for the whole of it), and the rule in words that complete
 * the sentence, such as `must be a list`.
 */
export interface ConfigViolation {
  readonly path: string;
  readonly rule: string;
}

/**
 * What a configuration comes to. `warnings` are sentences that name a field and what does not happen of it. `runsTwice`: two deployments of it may run at
 * a time.
 */
export type ConfigResult =
  | { readonly ok: true; readonly config: ContainerConfig; readonly warnings: readonly string[]; readonly runsTwice: boolean }
  | { readonly ok: false; readonly violations: readonly ConfigViolation[] };
