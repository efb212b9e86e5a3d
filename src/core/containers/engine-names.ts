/** What an engine's networks are for; what may leave through them follows from it. */
export type NetworkRole = 'open' | 'closed' | 'shim';

/**
 * Names of what a deployment makes on an engine. The same deployment always gives the same names, so that making a thing twice is refused by
 * the engine. Ids and names are those of records and checked configurations: letters, digits, `-` and `_`.
 */
export const unitName = (deploymentId: string, unit: string): string => `castellan-${deploymentId}-${unit}`;

/**
 * Of several networks an engine sends what leaves through the one whose name sorts first. So the role stands before the name: `open` sorts
 * before `shim`, and a unit that is on both has its way out through the open one.
 */
export const networkName = (deploymentId: string, role: NetworkRole, network: string): string =>
  role === 'shim' ? `castellan-${deploymentId}-shim` : `castellan-${deploymentId}-${role}-${network}`;

/** Volumes belong to the container and not to one deployment: they outlive an update. */
export const volumeName = (containerId: string, volume: string): string => `castellan-${containerId}-${volume}`;
