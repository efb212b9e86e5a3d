import type { DomainEvent } from '../effects.ts';
import type { CommandBase } from '../verb.ts';

/** An event that follows from a transition, before it has its id and its moment. */
export type StateEvent = Pick<DomainEvent, 'type' | 'tenantId' | 'data' | 'scope'>;

/** What caused a transition: a command or, with an id of its own, something that the batch did by itself. */
export type Cause = Pick<CommandBase, 'id' | 'tenantId' | 'origin'>;
