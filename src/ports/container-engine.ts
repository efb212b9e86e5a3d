import type { NetworkRole } from '../core/containers/engine-names.ts';
import type { ImageRef } from '../core/containers/images.ts';
import { Fault } from '../core/fault.ts';

/** Whose a thing on an engine is. It is kept in labels, so that a listing finds it again after any crash. */
export interface EngineOwner {
  /** This installation: other installations may use the same engine, and their things are never touched. */
  readonly installation: string;
  readonly tenant: string;
  readonly container: string;
  /** Null for what outlives a deployment: volumes. */
  readonly deployment: string | null;
}

/** What an engine says of itself. */
export interface EngineState {
  readonly version: string;
  readonly apiVersion: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** `unmanaged`: outgoing traffic is kept in by the engine's own means only, which leave the host's own addresses within reach. */
  readonly firewall: 'managed' | 'unmanaged';
}

/** A name and a password for a registry. */
export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
}

/** What is pulled, and with what. */
export interface PullRequest {
  readonly image: ImageRef;
  /** Null: pulled without credentials. */
  readonly auth: RegistryAuth | null;
  /** Ends the pull on the engine too. */
  readonly signal: AbortSignal;
  /** Called with short lines of what goes on, such as `layer 1a2b3c: pull complete`. */
  readonly onProgress?: (line: string) => void;
}

/** A bridge of its own on the engine. */
export interface NetworkSpec {
  /** By `networkName`, which decides the order in which networks are ways out. */
  readonly name: string;
  /** `open`: the internet, without what the firewall keeps out of reach. `closed`: its members. `shim`: as closed, and a port is published. */
  readonly role: NetworkRole;
  readonly owner: EngineOwner;
}

/** A named volume of the engine. It outlives units. */
export interface VolumeSpec {
  readonly name: string;
  readonly owner: EngineOwner;
}

/** Where a unit has a volume. */
export interface UnitMount {
  /** Name of a volume of the engine. */
  readonly volume: string;
  /** Absolute path inside. */
  readonly path: string;
  /** The volume's top folder is given to this user and group, its mode left as it is. Null: to whom the image, or an earlier unit, gave it. */
  readonly ownerId: number | null;
}

/** When the engine itself starts a unit again that ended. `maximumRetries` counts for `on-failure` only; 0 is without end. */
export interface RestartRule {
  readonly name: 'no' | 'always' | 'unless-stopped' | 'on-failure';
  readonly maximumRetries: number;
}

/** What is run inside to tell whether a unit is well: `test` is Docker's array form, `["CMD", ...]`, `["CMD-SHELL", "..."]` or `["NONE"]`. */
export interface HealthcheckSpec {
  readonly test: readonly string[];
  /** Null, here and below: the engine's own (30 s, 30 s, 3, none). */
  readonly intervalMs: number | null;
  readonly timeoutMs: number | null;
  readonly retries: number | null;
  readonly startPeriodMs: number | null;
}

/** One Docker container. Every one has no capabilities but `capAdd`, gains no privileges, and keeps a bounded log. */
export interface UnitSpec {
  /** By `unitName`. */
  readonly name: string;
  /** The unit's name in its configuration: a label, its host name, and the name by which units of its networks find it. */
  readonly unit: string;
  readonly owner: EngineOwner;
  readonly image: ImageRef;
  /** Null: the image's own. */
  readonly command: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly workingDir: string | null;
  readonly user: string | null;
  /** Values may be secrets: they are given to the engine and kept nowhere else. */
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly mounts: readonly UnitMount[];
  /** Networks made before. None: the unit has no network at all. */
  readonly networks: readonly { readonly name: string; readonly role: NetworkRole }[];
  /** A port of the unit that is published on a port of the engine's choice; null for none. One of the networks must be the shim's. */
  readonly shimPort: number | null;
  /** Ports published on fixed ports of the host. */
  readonly ports: readonly { readonly hostPort: number; readonly containerPort: number }[];
  /** The host's GPUs that it sees, as the engine knows them; null for none. */
  readonly gpus: readonly string[] | null;
  /** Those of its whole deployment, which are nobody else's; kept in a label. */
  readonly allottedGpus: readonly string[];
  readonly ipc: 'private' | 'none' | null;
  readonly capAdd: readonly string[];
  /** Null: half of the memory, or 64 MiB where that is unbounded. */
  readonly shmBytes: number | null;
  /** Null: unbounded. Nothing is swapped beyond it. */
  readonly memoryBytes: number | null;
  /** May be a fraction. Null: unbounded. */
  readonly cpus: number | null;
  /** `options` are those of a mount, comma-separated. Without a size among them it is as `shmBytes` of null. */
  readonly tmpfs: readonly { readonly path: string; readonly options: string }[];
  readonly readOnly: boolean;
  readonly pidsLimit: number;
  readonly restart: RestartRule;
  /** Null: the image's own. */
  readonly stopSignal: string | null;
  /** From the signal to the kill, when the engine itself stops the unit. Null: the engine's own, 10 s. */
  readonly stopTimeoutS: number | null;
  /** Null: the image's own, or none. */
  readonly healthcheck: HealthcheckSpec | null;
}

/** `removing` and `paused` are seen only where something else works on the engine too. */
export type UnitRunState = 'created' | 'running' | 'restarting' | 'paused' | 'removing' | 'exited' | 'dead';
/** `none`: there is no check, and a unit that runs is well. */
export type UnitHealth = 'none' | 'starting' | 'healthy' | 'unhealthy';

/** A unit as an inspection tells of it. */
export interface UnitState {
  readonly id: string;
  readonly state: UnitRunState;
  readonly health: UnitHealth;
  /** Of the last run; 0 before the first. */
  readonly exitCode: number;
  /** The last run ended because its memory was full. */
  readonly oomKilled: boolean;
  /** Why the engine could not start it; empty where it could. */
  readonly error: string;
  /** What the last health check printed, shortened; empty without one. */
  readonly healthOutput: string;
  /** Where `shimPort` is reached on the host's address, while it runs. The engine chooses anew at every start, its own included. */
  readonly publishedPort: number | null;
  /** Null before the first start. */
  readonly startedAtMs: number | null;
  /** How often the engine started it again by itself. */
  readonly restarts: number;
}

/** A unit as a listing tells of it. */
export interface OwnedUnit {
  readonly id: string;
  readonly name: string;
  readonly unit: string;
  readonly owner: EngineOwner;
  readonly state: UnitRunState;
  readonly health: UnitHealth;
  readonly publishedPort: number | null;
  /** Address by digest of the image that it was made of; null if a label was lost. */
  readonly image: string | null;
  readonly allottedGpus: readonly string[];
}

/** A network or a volume as a listing tells of it. */
export interface OwnedObject {
  readonly name: string;
  readonly owner: EngineOwner;
}

/** Everything of an installation on an engine. */
export interface OwnedObjects {
  readonly units: readonly OwnedUnit[];
  readonly networks: readonly OwnedObject[];
  readonly volumes: readonly OwnedObject[];
}

/** Which lines of a log. */
export interface LogRequest {
  /** How many of the last lines; null for all that are kept. */
  readonly tail: number | null;
  /** Only lines from then on; null for all. */
  readonly sinceMs: number | null;
  /** Goes on with new lines until the unit ends. */
  readonly follow: boolean;
  /** Ends the iteration without an error. */
  readonly signal: AbortSignal;
}

/** One line of a log. */
export interface LogLine {
  readonly stream: 'stdout' | 'stderr';
  readonly atMs: number;
  /** Without its line break; longer ones than the adapter's limit are cut and end with `…`. Bytes that are not UTF-8 are replaced. */
  readonly line: string;
}

/** What a unit uses. Counters begin at 0 with every start of the unit. */
export interface UnitStats {
  readonly cpuNs: bigint;
  /** Without the page cache that may be dropped at any time. */
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly atMs: number;
}

/** The size of a terminal, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A process to be started in a unit beside its own, as the user and in the folder of that. */
export interface ExecSpec {
  readonly command: readonly string[];
  /** Beside the unit's own environment. */
  readonly env: readonly { readonly name: string; readonly value: string }[];
  /** Its streams are one terminal: everything that it writes comes as `stdout`. */
  readonly hasTerminal: boolean;
}

/** What a process wrote. */
export interface ExecOutput {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** A process that was started in a unit. It goes on when its streams are let go of. */
export interface UnitExec {
  /** In the order in which it came; no more is read from the engine than is taken. Ends with the process's streams. To be taken once. */
  readonly output: AsyncIterable<ExecOutput>;
  /** Resolves when there is room for more. What is written after the end is lost. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends its input, and nothing else. */
  endInput(): void;
  resize(size: TerminalSize): Promise<void>;
  /** What it ended with; null while it goes on, and where the engine knows nothing of it any more. */
  exitCode(): Promise<number | null>;
  /** Lets go of its streams. */
  close(): void;
}

/**
 * One host: a Docker engine.
 *
 * Every method may be called again after any failure: what is there already is taken, and what is gone already is done. All throw
 * `EngineFault`, and none waits without end.
 */
export interface ContainerEngine {
  ping(): Promise<EngineState>;

  /** Pulls by digest, and checks that the engine has this digest afterwards. Progress counts against stalls. */
  pull(request: PullRequest): Promise<void>;
  hasImage(image: ImageRef): Promise<boolean>;
  /** True if it is gone, or was never there; false if a unit, ours or not, still uses it: then it stays. */
  removeImage(image: ImageRef): Promise<boolean>;

  /** Makes it, and before it the firewall that an open one needs. Refused where that cannot be and the host is strict. */
  ensureNetwork(spec: NetworkSpec): Promise<void>;
  ensureVolume(spec: VolumeSpec): Promise<void>;
  /** Gone, with whatever is still attached taken off it; units go first. */
  removeNetwork(name: string): Promise<void>;
  /** Refused while a unit uses it. */
  removeVolume(name: string): Promise<void>;

  /**
   * Makes it and does not start it. One of that name that was made from the same specification is taken; from another it is refused with
   * `conflict`. Its image and networks must be there, else it is `gone`.
   */
  createUnit(spec: UnitSpec): Promise<{ readonly id: string }>;
  /** Refused with `unstartable` where the engine cannot run it: a command that is not there, a fixed port that is taken. */
  startUnit(id: string): Promise<void>;
  /** Its stop signal, and after `timeoutS` the kill. Returns once it has ended. */
  stopUnit(id: string, timeoutS: number): Promise<void>;
  /** Killed if it runs, and gone when this returns, with what was written to it outside of volumes. */
  removeUnit(id: string): Promise<void>;
  /** By id or by name; null if there is none. */
  inspectUnit(idOrName: string): Promise<UnitState | null>;
  /** What an installation has. From time to time it sees to the firewall too, where there is something to keep in. */
  list(installation: string): Promise<OwnedObjects>;

  /** Lines in the order they were written. Nothing if the unit is gone. */
  logs(id: string, request: LogRequest): AsyncIterable<LogLine>;
  /**
   * Runs a command in a unit that runs, and gives what it wrote to its standard output, at most 16 KiB of it. Null if the unit does not run, or the
   * command could not be started or ended with a failure. What takes longer than `timeoutMs` is a `timeout`; the command may go on.
   */
  capture(id: string, command: readonly string[], timeoutMs: number): Promise<string | null>;
  /** Null if it does not run. */
  stats(id: string): Promise<UnitStats | null>;
  /** Starts a process in a unit that runs; `gone` if it does not. A command that is not there says so as output, and ends with 126 or 127. */
  exec(id: string, spec: ExecSpec): Promise<UnitExec>;

  /** Requests in flight fail with `unreachable`. What runs goes on running. */
  close(): Promise<void>;
}

/**
 * How an engine failed:
 * `unreachable` no connection, or it broke: whether the request was carried out is not known; `timeout` it did not answer in time;
 * `refused` it answered that it will not; `failed` it tried and failed, trying again may help; `gone` what is needed for it is not there any
 * more: a unit, its network or its image; `conflict` a thing of that name is there and is not what was asked for; `in_use` it cannot go yet;
 * `unstartable` the unit cannot be started as it is specified; `image_refused` the registry does not give the image, or not under this
 * digest: trying again does not help; `registry_failed` the registry was not reached, stalled or failed: trying again may help; `aborted` the
 * caller's own signal; `firewall` the host's rules cannot be put in place.
 */
export type EngineFaultKind =
  | 'unreachable'
  | 'timeout'
  | 'refused'
  | 'failed'
  | 'gone'
  | 'conflict'
  | 'in_use'
  | 'unstartable'
  | 'image_refused'
  | 'registry_failed'
  | 'aborted'
  | 'firewall'
  | 'full';

/** An engine failed. `message` names the host and what it said, for logs; `publicMessage` is for the owner of the container. */
export class EngineFault extends Fault {
  readonly kind: EngineFaultKind;
  /** The status that the engine answered; null where it gave none. */
  readonly status: number | null;

  constructor(options: { kind: EngineFaultKind; message: string; publicMessage: string; status?: number; cause?: unknown }) {
    super({
      code: options.kind === 'timeout' ? 'upstream_timeout' : 'upstream_failed',
      message: options.message,
      publicMessage: options.publicMessage,
      cause: options.cause,
    });
    this.kind = options.kind;
    this.status = options.status ?? null;
  }
}
