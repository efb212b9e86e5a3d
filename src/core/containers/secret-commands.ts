import type { CommandBase } from '../verb.ts';
import type { CredentialRegistry } from './secret-records.ts';

/**
 * Something that was sealed by the key `keyId` of the tenant. `newKeySealed` is there where the tenant had no key yet: that one, sealed by the master key, which
 * the command keeps with what it sealed.
 */
export interface SealedByTenant {
  readonly keyId: string;
  readonly newKeySealed: string | null;
  readonly sealed: string;
}

/** Makes a secret. */
export interface CreateSecretCommand extends CommandBase {
  readonly verb: 'create-secret';
  readonly secretId: string;
  readonly name: string;
  readonly value: SealedByTenant;
}

/** Gives a secret another value. */
export interface UpdateSecretCommand extends CommandBase {
  readonly verb: 'update-secret';
  readonly name: string;
  readonly value: SealedByTenant;
}

/** Deletes a secret. */
export interface DeleteSecretCommand extends CommandBase {
  readonly verb: 'delete-secret';
  readonly name: string;
}

/** Keeps what opens a registry, in place of what was kept before. */
export interface PutRegistryCredentialCommand extends CommandBase {
  readonly verb: 'put-registry-credential';
  readonly registry: CredentialRegistry;
  readonly username: string;
  readonly password: SealedByTenant;
}

/** Forgets what opens a registry. */
export interface DeleteRegistryCredentialCommand extends CommandBase {
  readonly verb: 'delete-registry-credential';
  readonly registry: CredentialRegistry;
}

/** Notes that a registry did not take what is kept for it. `seenSealed` is what was tried: of another one nothing is known. */
export interface NoteRegistryRefusalCommand extends CommandBase {
  readonly verb: 'note-registry-refusal';
  readonly registry: CredentialRegistry;
  readonly seenSealed: string;
}

/** Every command about secrets and credentials of registries. */
export type SecretCommand =
  | CreateSecretCommand
  | UpdateSecretCommand
  | DeleteSecretCommand
  | PutRegistryCredentialCommand
  | DeleteRegistryCredentialCommand
  | NoteRegistryRefusalCommand;
