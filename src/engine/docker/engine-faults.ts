import { EngineFault, type EngineFaultKind } from '../../ports/container-engine.ts';
import type { EngineAnswer, EngineRequests } from './requests.ts';

/** What engines say of a start that fails, and what its owner is told. What is not here may name folders of the host. */
const START_FAILURES: readonly { readonly said: RegExp; readonly tell: (match: RegExpExecArray) => string }[] = [
  {
    said: /exec: \\?"([^"\\]+)\\?": (?:[^:]*: )?(executable file not found|no such file or directory|permission denied)/,
    tell: ([, command, why]) => `its command ${command} cannot be run: ${why}`,
  },
  { said: /(?:port is already allocated|address already in use)/, tell: () => 'a host port that it wants is taken' },
  { said: /could not select device driver|nvidia/i, tell: () => 'the host has no GPUs for containers' },
  { said: /unable to find (?:user|group) ([^:]+): no matching entries/, tell: ([, user]) => `its image has no user or group ${user}` },
  { said: /(?:Cwd|working directory|chdir to cwd)[^:]*/i, tell: () => 'its working directory cannot be entered' },
  { said: /read-only file system/, tell: () => 'a path that is mounted is not in its image, which is read-only' },
];

/** What of a start's failure its owner can do something about; null where none of it is known. */
function knownStartFailure(said: string): string | null {
  for (const { said: pattern, tell } of START_FAILURES) {
    const match = pattern.exec(said);
    if (match !== null) return tell(match);
  }
  return null;
}

/** Why a unit could not be started, in words for its owner; empty for nothing said. */
export const tellStartFailure = (said: string): string => (said === '' ? '' : (knownStartFailure(said) ?? 'the host could not start it'));

/** A start that was answered by no success: final where it is known to stay so. */
export function startFault(what: string, answer: EngineAnswer): EngineFault {
  const { status, said } = answer;
  const isKnown = knownStartFailure(said) !== null;
  return new EngineFault({
    kind: isKnown ? 'unstartable' : status === 409 ? 'in_use' : kindOf(answer),
    status,
    message: `${what}: status ${status}: ${said}`,
    publicMessage: `The container cannot be started: ${tellStartFailure(said) || 'the host could not start it'}.`,
  });
}

/** What an engine says where its networks have used up the addresses that it gives them. */
const NO_ADDRESSES = /non-overlapping IPv4 address pool|no available network|fully subnetted/;

const tellRefusal = (said: string): string =>
  NO_ADDRESSES.test(said) ? 'The host has no addresses left for another network.' : 'The host refused what was asked of it.';

/** Engines answer 500 to much that will stay so, too; whoever tries again is to give up some time. */
const kindOf = ({ status, said }: EngineAnswer): EngineFaultKind => {
  if (status === 404) return 'gone';
  return status >= 500 && !NO_ADDRESSES.test(said) ? 'failed' : 'refused';
};

/** An answer that is no success, as a fault. `what` says for logs what was asked. */
export function answerFault(what: string, answer: EngineAnswer, kind: EngineFaultKind = kindOf(answer)): EngineFault {
  const { status, said } = answer;
  return new EngineFault({ kind, status, message: `${what}: status ${status}: ${said}`, publicMessage: tellRefusal(said) });
}

/** What a GET answers; anything but success is a fault. */
export async function getJson<T>(
  requests: EngineRequests,
  host: string,
  path: string,
  query?: Record<string, string | boolean>,
): Promise<T> {
  const answer = await requests.send({ method: 'GET', path, ...(query === undefined ? {} : { query }) });
  if (answer.status !== 200) throw answerFault(`${host}: GET ${path}`, answer);
  return answer.json as T;
}
