import type { CommandBase } from '../verb.ts';
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

/** Every command about SSH. */
export type SshCommand = CreateSshKeyCommand | DeleteSshKeyCommand;
