/** What the Tinfoil Admin API says and takes of containers and what belongs to them. Moments are RFC 3339. */

/** A container. */
export interface Container {
  readonly id: string;
  readonly name: string;
  readonly repo: string;
  readonly status: 'deploying' | 'ready' | 'failed' | 'stopping' | 'stopped';
  readonly domain: string;
  readonly internal_domain: string;
  readonly custom_domain: string | null;
  readonly current_tag: string;
  readonly current_commit: string;
  readonly cpus: number;
  readonly gpus: number;
  readonly memory_mb: number;
  readonly debug: boolean;
  readonly staging: boolean;
  readonly host_name: string;
  readonly ssh_port: number | null;
  readonly ssh_user: string | null;
  readonly variables: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly ssh_keys: readonly string[];
  readonly warnings: readonly string[];
  readonly stale: boolean;
  readonly update_tag: string | null;
  readonly update_status: 'pending' | 'started' | 'ready' | 'failed' | null;
  readonly held: boolean;
  readonly auto_update: boolean;
  readonly error_message: string | null;
  readonly group_name: string | null;
  readonly created_at: string;
  readonly updated_at: string;
}

/** What may be said of a deployment; what is left out stays, or is the default. */
export interface DeploymentFields {
  readonly tag?: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly secrets?: readonly string[];
  readonly ssh_keys?: readonly string[];
  readonly debug?: boolean;
  readonly staging?: boolean;
  readonly gpus?: number;
  readonly custom_domain?: string;
  readonly host_name?: string;
}

/** A container to be made. */
export interface NewContainer extends DeploymentFields {
  readonly name: string;
  readonly repo: string;
  readonly tag: string;
}

/** What a container was charged for. */
export interface ContainerUsage {
  readonly metered_until: string | null;
  readonly cpu_seconds: number;
  readonly memory_gb_seconds: number;
  readonly gpu_seconds: number;
  readonly cost_usd: string;
  readonly unpaid_since: string | null;
}

/** A domain of an organization. */
export interface Domain {
  readonly domain: string;
  readonly verified: boolean;
  readonly verified_at: string | null;
  readonly used_by: readonly string[];
  readonly txt_record_host: string;
  readonly txt_record_value: string;
  readonly cname_target: string;
  readonly cname_configured: boolean | null;
  readonly missing_since: string | null;
  readonly check_error: string | null;
}

/** A secret, without its value. */
export interface Secret {
  readonly name: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly used_by: readonly string[];
}

/** A public key for debug containers. */
export interface SshKey {
  readonly name: string;
  readonly key_type: string;
  readonly fingerprint: string;
  readonly created_at: string;
  readonly used_by: readonly string[];
}

/** One line that a container wrote. */
export interface LogLine {
  readonly time: string;
  readonly container: string;
  readonly stream: 'stdout' | 'stderr';
  readonly line: string;
  readonly tag: string;
}
