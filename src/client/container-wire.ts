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
  readonly github_app_connected: boolean;
  readonly error_message: string | null;
  readonly group_name: string | null;
  readonly group_order: number;
  readonly display_order: number;
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

/** What a container used of what it is given: in percent; memory in GiB. What nobody can tell of GPUs is null. */
export interface ContainerMetrics {
  readonly interval: string;
  readonly data_points: readonly {
    readonly time: string;
    readonly avg_cpu_util: number;
    readonly max_cpu_util: number;
    readonly avg_cpu_mem_util: number;
    readonly max_cpu_mem_util: number;
    readonly cpu_mem_total: number;
    readonly avg_gpu_util: number | null;
    readonly max_gpu_util: number | null;
    readonly avg_gpu_mem_util: number | null;
    readonly max_gpu_mem_util: number | null;
    readonly gpu_mem_total: number | null;
  }[];
}

/** A host that containers may be asked for on. */
export interface ContainerHost {
  readonly name: string;
  readonly is_default: boolean;
  readonly available_gpu_values: readonly number[];
}

/** Where a container stands in lists. */
export type ContainerPlace = Pick<Container, 'group_name' | 'group_order' | 'display_order'>;

/** Whether there is something that opens a private registry, and whether the registry refused it. */
export interface RegistryStatus {
  readonly has_credentials: boolean;
  readonly username?: string;
  readonly updated_at?: string;
  readonly expired: boolean;
}

/** What opens a private registry: a name with a token, or the key of a service account. */
export type RegistryCredential = { readonly username: string; readonly token: string } | { readonly key: string };

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
