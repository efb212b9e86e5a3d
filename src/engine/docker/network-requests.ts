import type { NetworkInspectInfo, VolumeInspectInfo } from 'dockerode';
import type { NetworkSpec, VolumeSpec } from '../../ports/container-engine.ts';
import { answerFault } from './engine-faults.ts';
import { LABELS, ownerLabels, type Labels } from './labels.ts';
import { networkBody } from './network-body.ts';
import type { EngineRequests } from './requests.ts';

/** What is asked of an engine about networks, or about volumes; see the port for what each does. */
export interface ObjectRequests<Spec> {
  readonly ensure: (spec: Spec) => Promise<void>;
  readonly remove: (name: string) => Promise<void>;
}

/** Makes the requests about networks of one engine. */
export function makeNetworkRequests(requests: EngineRequests, host: string): ObjectRequests<NetworkSpec> {
  const pathOf = (name: string): string => `/networks/${encodeURIComponent(name)}`;
  const inspect = async (name: string): Promise<NetworkInspectInfo | null> => {
    const answer = await requests.send({ method: 'GET', path: pathOf(name) });
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw answerFault(`${host}: inspecting ${name}`, answer);
    return answer.json as NetworkInspectInfo;
  };
  return {
    ensure: async (spec) => {
      const body = networkBody(spec);
      const answer = await requests.send({ method: 'POST', path: '/networks/create', body });
      if (answer.status === 201) return;
      const present = await inspect(spec.name);
      if (present === null) throw answerFault(`${host}: making the network ${spec.name}`, answer);
      const isSame =
        present.Labels?.[LABELS.spec] === spec.role &&
        present.Labels[LABELS.installation] === spec.owner.installation &&
        present.Options?.['com.docker.network.bridge.name'] === body.Options?.['com.docker.network.bridge.name'];
      if (!isSame) throw answerFault(`${host}: making the network ${spec.name}, of whose name another is there`, answer, 'conflict');
    },
    remove: async (name) => {
      let answer = await requests.send({ method: 'DELETE', path: pathOf(name) });
      if (answer.status === 403) {
        for (const id of Object.keys((await inspect(name))?.Containers ?? {})) {
          await requests.send({ method: 'POST', path: `${pathOf(name)}/disconnect`, body: { Container: id, Force: true } });
        }
        answer = await requests.send({ method: 'DELETE', path: pathOf(name) });
      }
      if (answer.status !== 204 && answer.status !== 404) throw answerFault(`${host}: removing the network ${name}`, answer);
    },
  };
}

/** Makes the requests about volumes of one engine. */
export function makeVolumeRequests(requests: EngineRequests, host: string): ObjectRequests<VolumeSpec> {
  const ensure = async (spec: VolumeSpec): Promise<void> => {
    const answer = await requests.send({
      method: 'POST',
      path: '/volumes/create',
      body: { Name: spec.name, Driver: 'local', Labels: ownerLabels(spec.owner) },
    });
    if (answer.status !== 201) throw answerFault(`${host}: making the volume ${spec.name}`, answer);
    // An engine takes a volume that is there, whoever's it is.
    const labels = (answer.json as VolumeInspectInfo).Labels as Labels | null;
    if (labels?.[LABELS.installation] !== spec.owner.installation || labels[LABELS.container] !== spec.owner.container) {
      throw answerFault(`${host}: making the volume ${spec.name}, of whose name another is there`, answer, 'conflict');
    }
  };
  const remove = async (name: string): Promise<void> => {
    const answer = await requests.send({ method: 'DELETE', path: `/volumes/${encodeURIComponent(name)}` });
    if (answer.status === 204 || answer.status === 404) return;
    throw answerFault(`${host}: removing the volume ${name}`, answer, answer.status === 409 ? 'in_use' : 'refused');
  };
  return { ensure, remove };
}
