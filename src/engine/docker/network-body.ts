import { createHash } from 'node:crypto';
import type { NetworkCreateOptions } from 'dockerode';
import type { NetworkSpec } from '../../ports/container-engine.ts';
import { CLOSED_BRIDGES, OPEN_BRIDGES } from './firewall-rules.ts';
import { LABELS, ownerLabels } from './labels.ts';

/** The kernel takes 15 characters for the name of an interface. */
const HASH_LENGTH = 11;

/** The bridge of a network: its beginning is what the firewall knows, the rest is made of the network's name. */
const bridgeName = (spec: Pick<NetworkSpec, 'name' | 'role'>): string =>
  (spec.role === 'open' ? OPEN_BRIDGES : CLOSED_BRIDGES) + createHash('sha256').update(spec.name).digest('hex').slice(0, HASH_LENGTH);

/**
 * The request that makes a network.
 *
 * A closed one is internal: the engine gives it no way out even without our firewall. The shim's may not be, since an engine publishes no
 * ports of internal networks; what leaves it keeps its private address, so that no answer finds back, and the firewall stops it.
 */
export const networkBody = (spec: NetworkSpec): NetworkCreateOptions => ({
  Name: spec.name,
  CheckDuplicate: true,
  Driver: 'bridge',
  Internal: spec.role === 'closed',
  Attachable: false,
  EnableIPv6: false,
  Options: {
    'com.docker.network.bridge.name': bridgeName(spec),
    'com.docker.network.bridge.enable_ip_masquerade': String(spec.role === 'open'),
    'com.docker.network.bridge.enable_icc': 'true',
  },
  Labels: { ...ownerLabels(spec.owner), [LABELS.spec]: spec.role },
});
