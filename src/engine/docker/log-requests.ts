import { EngineFault, type LogLine, type LogRequest } from '../../ports/container-engine.ts';
import { answerFault } from './engine-faults.ts';
import { readLogLines } from './read-logs.ts';
import type { EngineRequests } from './requests.ts';

export interface LogOptions {
  readonly requests: EngineRequests;
  readonly host: string;
  readonly maxLineBytes: number;
}

/** Lines of a unit's log; see the port. Ends without an error when the request's signal does. */
export async function* readLogs(
  { requests, host, maxLineBytes }: LogOptions,
  id: string,
  request: LogRequest,
): AsyncGenerator<LogLine, void, undefined> {
  const { signal } = request;
  if (signal.aborted) return;
  try {
    const answer = await requests.open({
      method: 'GET',
      path: `/containers/${encodeURIComponent(id)}/logs`,
      query: {
        stdout: true,
        stderr: true,
        timestamps: true,
        follow: request.follow,
        tail: request.tail ?? 'all',
        ...(request.sinceMs === null ? {} : { since: (request.sinceMs / 1000).toFixed(3) }),
      },
      signal,
    });
    const end = (): void => void answer.destroy();
    signal.addEventListener('abort', end);
    try {
      if (answer.statusCode === 404) return;
      if (answer.statusCode !== 200) {
        throw answerFault(`${host}: logs of ${id}`, { status: answer.statusCode ?? 0, headers: {}, json: undefined, said: '' });
      }
      yield* readLogLines(answer as AsyncIterable<Uint8Array>, maxLineBytes);
    } finally {
      signal.removeEventListener('abort', end);
      answer.destroy();
    }
  } catch (error) {
    // The type checker cannot see that a signal changes meanwhile.
    if ((signal as { aborted: boolean }).aborted) return;
    if (error instanceof EngineFault) throw error;
    const message = `${host}: logs of ${id}: ${error instanceof Error ? error.message : String(error)}`;
    throw new EngineFault({ kind: 'unreachable', message, publicMessage: 'The host of the container cannot be reached.', cause: error });
  }
}
