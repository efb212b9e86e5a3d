import type { Verb } from '../verb.ts';
import type { ContainerCommand } from './commands.ts';
import { claimDomainVerb, createDomainVerb, deleteDomainVerb, noteDomainCheckVerb } from './decide-domain.ts';
import type { DomainCommand } from './domain-commands.ts';
import type { SecretCommand } from './secret-commands.ts';
import { noteContainerSamplesVerb } from './decide-samples.ts';
import type { SshCommand } from './ssh-commands.ts';
import { advanceContainerVerb, forgetContainerVerb } from './decide-advance.ts';
import { createContainerVerb, deployContainerVerb } from './decide-deploy.ts';
import { noteReleaseMarkVerb, setContainerVerb, takeReleaseHookVerb } from './decide-connection.ts';
import { acceptUpdateVerb, cancelUpdateVerb, deleteContainerVerb, stopContainerVerb } from './decide-lifecycle.ts';
import { deleteRegistryCredentialVerb, noteRegistryRefusalVerb, putRegistryCredentialVerb } from './decide-registry-credential.ts';
import { createSecretVerb, deleteSecretVerb, updateSecretVerb } from './decide-secret.ts';
import { createSshKeyVerb, deleteSshKeyVerb } from './decide-ssh-key.ts';
import { endSshSessionVerb, openSshSessionVerb } from './decide-ssh-session.ts';
import { organizeContainersVerb } from './decide-organize.ts';
import { meterContainerVerb } from './decide-meter.ts';
import { endLeaseVerb, takeLeaseVerb } from './lease.ts';

/** The decisions about containers, by verb. */
export const CONTAINER_VERBS = {
  'create-container': createContainerVerb,
  'deploy-container': deployContainerVerb,
  'stop-container': stopContainerVerb,
  'delete-container': deleteContainerVerb,
  'accept-container-update': acceptUpdateVerb,
  'cancel-container-update': cancelUpdateVerb,
  'set-container': setContainerVerb,
  'note-release-mark': noteReleaseMarkVerb,
  'take-release-hook': takeReleaseHookVerb,
  'organize-containers': organizeContainersVerb,
  'advance-container': advanceContainerVerb,
  'forget-container': forgetContainerVerb,
  'take-lease': takeLeaseVerb,
  'end-lease': endLeaseVerb,
  'meter-container': meterContainerVerb,
  'note-container-samples': noteContainerSamplesVerb,
} as const satisfies { readonly [K in ContainerCommand['verb']]: Verb<Extract<ContainerCommand, { verb: K }>, unknown> };

/** The decisions about secrets and credentials of registries, by verb. */
export const SECRET_VERBS = {
  'create-secret': createSecretVerb,
  'update-secret': updateSecretVerb,
  'delete-secret': deleteSecretVerb,
  'put-registry-credential': putRegistryCredentialVerb,
  'delete-registry-credential': deleteRegistryCredentialVerb,
  'note-registry-refusal': noteRegistryRefusalVerb,
} as const satisfies { readonly [K in SecretCommand['verb']]: Verb<Extract<SecretCommand, { verb: K }>, unknown> };

/** The decisions about SSH, by verb. */
export const SSH_VERBS = {
  'create-ssh-key': createSshKeyVerb,
  'delete-ssh-key': deleteSshKeyVerb,
  'open-ssh-session': openSshSessionVerb,
  'end-ssh-session': endSshSessionVerb,
} as const satisfies { readonly [K in SshCommand['verb']]: Verb<Extract<SshCommand, { verb: K }>, unknown> };

/** The decisions about domains, by verb. */
export const DOMAIN_VERBS = {
  'create-domain': createDomainVerb,
  'delete-domain': deleteDomainVerb,
  'claim-domain': claimDomainVerb,
  'note-domain-check': noteDomainCheckVerb,
} as const satisfies { readonly [K in DomainCommand['verb']]: Verb<Extract<DomainCommand, { verb: K }>, unknown> };
