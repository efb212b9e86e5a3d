import type * as Wire from './container-wire.ts';
import { makeAsk, type Send } from './request.ts';

/**
 * Containers and what belongs to them, over the Tinfoil Admin API, an operation a method. Each throws an `ApiError` where it is refused, and a
 * `ServerUnreachable` without an answer.
 */
export interface ContainersClient {
  /** In the order of groups and places. */
  list(): Promise<readonly Wire.Container[]>;
  get(id: string): Promise<Wire.Container>;
  create(container: Wire.NewContainer): Promise<Wire.Container>;
  relaunch(id: string, changes: Wire.DeploymentFields): Promise<Wire.Container>;
  start(id: string): Promise<Wire.Container>;
  stop(id: string): Promise<Wire.Container>;
  accept(id: string): Promise<Wire.Container>;
  cancel(id: string): Promise<void>;
  delete(id: string): Promise<void>;
  setAutoUpdate(id: string, isOn: boolean): Promise<Wire.Container>;
  setGithubConnection(id: string, isConnected: boolean): Promise<Wire.Container>;
  usage(id: string): Promise<Wire.ContainerUsage>;
  /** `time` is a window such as `24h`. */
  metrics(id: string, time: string): Promise<Wire.ContainerMetrics>;
  hosts(): Promise<readonly Wire.ContainerHost[]>;
  /** All three are written as they are. */
  place(id: string, place: Wire.ContainerPlace): Promise<Wire.Container>;
  readonly groups: {
    rename(from: string, to: string): Promise<void>;
    order(group: string, groupOrder: number): Promise<void>;
    /** Its containers stay, in no group. */
    delete(group: string): Promise<void>;
  };
  readonly domains: {
    list(): Promise<readonly Wire.Domain[]>;
    add(domain: string): Promise<Wire.Domain>;
    verify(domain: string): Promise<Wire.Domain>;
    delete(domain: string): Promise<void>;
  };
  readonly secrets: {
    list(): Promise<readonly Wire.Secret[]>;
    create(name: string, value: string): Promise<void>;
    update(name: string, value: string): Promise<void>;
    delete(name: string): Promise<void>;
  };
  readonly registries: {
    list(): Promise<Readonly<Record<string, Wire.RegistryStatus>>>;
    set(registry: string, credential: Wire.RegistryCredential): Promise<void>;
    delete(registry: string): Promise<void>;
  };
  readonly sshKeys: {
    list(): Promise<readonly Wire.SshKey[]>;
    add(name: string, publicKey: string): Promise<Wire.SshKey>;
    delete(name: string): Promise<void>;
  };
}

/** What stands before the paths of this API. */
export const CONTAINERS_API = '/api';

const part = (text: string): string => encodeURIComponent(text);

/** Makes the client of the control plane at `baseUrl` for the organization of an admin key (`admin_...`). `send` is `fetch`, or a stand-in for it. */
export function makeContainersClient(options: {
  readonly baseUrl: string;
  readonly adminKey: string;
  readonly send: Send;
}): ContainersClient {
  const { baseUrl, adminKey, send } = options;
  const ask = makeAsk({ baseUrl, send, prefix: CONTAINERS_API, headers: { authorization: `Bearer ${adminKey}` } });
  const at = (id: string, rest = ''): string => `/containers/${part(id)}${rest}`;
  return {
    list: () => ask({ method: 'GET', path: '/containers' }),
    get: (id) => ask({ method: 'GET', path: at(id) }),
    create: (container) => ask({ method: 'POST', path: '/containers', body: container }),
    relaunch: (id, changes) => ask({ method: 'POST', path: at(id, '/relaunch'), body: changes }),
    start: (id) => ask({ method: 'POST', path: at(id, '/start'), body: {} }),
    stop: (id) => ask({ method: 'POST', path: at(id, '/stop') }),
    accept: (id) => ask({ method: 'POST', path: at(id, '/update/accept') }),
    cancel: (id) => ask({ method: 'POST', path: at(id, '/update/cancel') }),
    delete: (id) => ask({ method: 'DELETE', path: at(id) }),
    setAutoUpdate: (id, isOn) => ask({ method: 'POST', path: at(id, '/auto-update'), body: { auto_update: isOn } }),
    setGithubConnection: (id, isConnected) => ask({ method: 'POST', path: at(id, '/github-connection'), body: { connected: isConnected } }),
    usage: (id) => ask({ method: 'GET', path: at(id, '/usage') }),
    metrics: (id, time) => ask({ method: 'GET', path: at(id, `/metrics?time=${part(time)}`) }),
    hosts: () => ask({ method: 'GET', path: '/containers/hosts' }),
    place: (id, place) => ask({ method: 'PUT', path: at(id, '/group'), body: place }),
    groups: {
      rename: (from, to) => ask({ method: 'PUT', path: '/containers/groups/rename', body: { old_name: from, new_name: to } }),
      order: (name, order) => ask({ method: 'PUT', path: '/containers/groups/reorder', body: { groups: [{ name, group_order: order }] } }),
      delete: (name) => ask({ method: 'DELETE', path: `/containers/groups/${part(name)}` }),
    },
    registries: {
      list: () => ask({ method: 'GET', path: '/registry-credentials' }),
      set: (registry, credential) => ask({ method: 'PUT', path: `/registry-credentials/${part(registry)}`, body: credential }),
      delete: (registry) => ask({ method: 'DELETE', path: `/registry-credentials/${part(registry)}` }),
    },
    domains: {
      list: () => ask({ method: 'GET', path: '/domains' }),
      add: (domain) => ask({ method: 'POST', path: '/domains', body: { domain } }),
      verify: (domain) => ask({ method: 'POST', path: `/domains/${part(domain)}/verify` }),
      delete: (domain) => ask({ method: 'DELETE', path: `/domains/${part(domain)}` }),
    },
    secrets: {
      list: () => ask({ method: 'GET', path: '/secrets' }),
      create: (name, value) => ask({ method: 'POST', path: '/secrets', body: { name, value } }),
      update: (name, value) => ask({ method: 'PUT', path: `/secrets/${part(name)}`, body: { value } }),
      delete: (name) => ask({ method: 'DELETE', path: `/secrets/${part(name)}` }),
    },
    sshKeys: {
      list: () => ask({ method: 'GET', path: '/ssh-keys' }),
      add: (name, publicKey) => ask({ method: 'POST', path: '/ssh-keys', body: { name, public_key: publicKey } }),
      delete: (name) => ask({ method: 'DELETE', path: `/ssh-keys/${part(name)}` }),
    },
  };
}
