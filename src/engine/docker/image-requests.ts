import type { ImageInspectInfo } from 'dockerode';
import { imageAddress, type ImageRef } from '../../core/containers/images.ts';
import { answerFault } from './engine-faults.ts';
import type { EngineRequests } from './requests.ts';

/** What is asked of an engine about images; see the port for what each does. */
export interface ImageRequests {
  readonly has: (image: ImageRef) => Promise<boolean>;
  readonly remove: (image: ImageRef) => Promise<boolean>;
}

/** An engine calls images of Docker Hub by their short names. */
const shortName = ({ host, repository }: ImageRef): string => {
  if (host !== 'docker.io') return `${host}/${repository}`;
  return repository.startsWith('library/') ? repository.slice('library/'.length) : repository;
};

/** Makes the requests about images of one engine. */
export function makeImageRequests(requests: EngineRequests, host: string): ImageRequests {
  return {
    has: async (image) => {
      const answer = await requests.send({ method: 'GET', path: `/images/${imageAddress(image)}/json` });
      if (answer.status === 404) return false;
      if (answer.status !== 200) throw answerFault(`${host}: inspecting ${imageAddress(image)}`, answer);
      const { RepoDigests } = answer.json as Partial<ImageInspectInfo>;
      return (RepoDigests ?? []).includes(`${shortName(image)}@${image.digest}`);
    },
    remove: async (image) => {
      const answer = await requests.send({ method: 'DELETE', path: `/images/${imageAddress(image)}` });
      if (answer.status === 200 || answer.status === 404) return true;
      if (answer.status === 409) return false;
      throw answerFault(`${host}: removing ${imageAddress(image)}`, answer);
    },
  };
}
