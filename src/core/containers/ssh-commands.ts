import type { CommandBase } from '../verb.ts';
import type { ShellGrant } from './ssh-access.ts';
import type { SshKey } from './ssh-key-records.ts';

/** Keeps a public key under a name. */
export interface CreateSshKeyCommand extends CommandBase, Pick<SshKey, 'sshKeyId' | 'name' | 'keyType' | 'publicKey' | 'fingerprint'> {
  readonly verb: 'create-ssh-key';
}

/** Deletes an SSH key. */
export interface DeleteSshKeyCommand extends CommandBase {
  readonly verb: 'delete-ssh-key';
  readonly name: string;
}

/** What a session is: a shell, one command, or a connection to a port. */
export type SshSessionKind = 'shell' | 'command' | 'forward';

/** Notes that a session begins, where the grant holds. */
export interface OpenSshSessionCommand extends CommandBase {
  readonly verb: 'open-ssh-session';
  readonly sessionId: string;
  readonly grant: ShellGrant;
  readonly kind: SshSessionKind;
  readonly hasTerminal: boolean;
}

/** A session that was opened, as its rows tell of it. */
export interface OpenedSshSession {
  readonly sessionId: string;
  readonly containerId: string;
  readonly container: string;
  readonly unit: string;
  readonly keyName: string;
  readonly fingerprint: string;
  readonly kind: SshSessionKind;
  readonly hasTerminal: boolean;
  readonly startedAtMs: number;
}

/** How a session ended. `exitCode` null: not by itself, or nobody knows. Bytes are those that went through. */
export interface SshSessionEnd {
  readonly reason: string;
  readonly exitCode: number | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Notes that a session has ended. */
export interface EndSshSessionCommand extends CommandBase {
  readonly verb: 'end-ssh-session';
  readonly session: OpenedSshSession;
  readonly end: SshSessionEnd;
}

/** Every command about SSH. */
export type SshCommand = CreateSshKeyCommand | DeleteSshKeyCommand | OpenSshSessionCommand | EndSshSessionCommand;
