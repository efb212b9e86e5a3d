import type { ShellGrant, ShellRefusal } from '../core/containers/ssh-access.ts';
import type { OpenedSshSession, SshSessionEnd, SshSessionKind } from '../core/containers/ssh-commands.ts';
import type { Outcome } from '../core/rejection.ts';
import type { ExecSpec, UnitExec } from './container-engine.ts';

/** A key that opens a container, and what it is let in to. */
export interface ShellCandidate {
  readonly grant: ShellGrant;
  /** Type and base64. */
  readonly publicKey: string;
  readonly fingerprint: string;
  /** The host that the deployment runs on. */
  readonly hostName: string;
}

/** Where a connection comes from, and the program that it names. */
export interface SshOrigin {
  readonly sourceIp: string;
  readonly client: string;
}

/** A session as it is opened. */
export interface SshOpening {
  readonly kind: SshSessionKind;
  readonly hasTerminal: boolean;
  readonly origin: SshOrigin;
}

/** Who may open a shell where, and what is noted of it. */
export interface SshAccess {
  /** The keys that open what a user name leads to; none where it leads nowhere. */
  candidates(user: string): Promise<readonly ShellCandidate[]>;
  /** What is against a grant as the records are now; null where it holds. */
  refusal(grant: ShellGrant): Promise<ShellRefusal | null>;
  /** Notes that a session begins. Rejects `forbidden` where the grant does not hold. */
  open(grant: ShellGrant, opening: SshOpening): Promise<Outcome<OpenedSshSession>>;
  /** Notes that it has ended. */
  end(grant: ShellGrant, session: OpenedSshSession, origin: SshOrigin, end: SshSessionEnd): Promise<void>;
  /** Starts a process in the unit that a candidate is let in to. Throws `EngineFault`. */
  start(candidate: ShellCandidate, spec: ExecSpec): Promise<UnitExec>;
}
