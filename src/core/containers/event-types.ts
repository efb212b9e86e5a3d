/** The types of events that tell of one container. The protocols know none of them. */
export const CONTAINER_EVENT_TYPES = [
  'container.created',
  'container.deploying',
  'container.checking',
  'container.ready',
  'container.failed',
  'container.update_started',
  'container.update_checking',
  'container.update_ready',
  'container.update_failed',
  'container.update_canceled',
  'container.stopping_for_update',
  'container.updated',
  'container.moved',
  'container.changed',
  'container.release_marked',
  'container.stopping',
  'container.stopped',
  'container.removed',
  'container.deleted',
  'container.unpaid',
  'container.paid',
] as const;

/** A type of event that tells of one container. */
export type ContainerEventType = (typeof CONTAINER_EVENT_TYPES)[number];
