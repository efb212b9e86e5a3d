import type { Verb } from '../verb.ts';
import type { ContainerCommand } from './commands.ts';
import { advanceContainerVerb, forgetContainerVerb } from './decide-advance.ts';
import { createContainerVerb, deployContainerVerb } from './decide-deploy.ts';
import { acceptUpdateVerb, cancelUpdateVerb, deleteContainerVerb, setContainerVerb, stopContainerVerb } from './decide-lifecycle.ts';
import { organizeContainersVerb } from './decide-organize.ts';
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
  'organize-containers': organizeContainersVerb,
  'advance-container': advanceContainerVerb,
  'forget-container': forgetContainerVerb,
  'take-lease': takeLeaseVerb,
  'end-lease': endLeaseVerb,
} as const satisfies { readonly [K in ContainerCommand['verb']]: Verb<Extract<ContainerCommand, { verb: K }>, unknown> };
