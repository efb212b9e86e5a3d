import { EngineFault } from '../../ports/container-engine.ts';
import { answerFault } from './engine-faults.ts';
import { readLogLines } from './read-logs.ts';
import type { EngineRequests } from './requests.ts';

/** Of what a command writes, in characters. */
const MAX_OUTPUT = 16 * 1024;

const faultOf = (status: number) => ({ status, headers: {}, json: undefined, said: '' });

/** Runs a command in a unit; see the port. Source: Docker Engine API, "Exec". */
export async function captureOutput(
  { requests, host }: { readonly requests: EngineRequests; readonly host: string },
  id: string,
  of: { readonly command: readonly string[]; readonly timeoutMs: number },
): Promise<string | null> {
  const { command, timeoutMs } = of;
  const signal = AbortSignal.timeout(timeoutMs);
  const body = { AttachStdout: true, AttachStderr: false, Tty: false, Cmd: command };
  const made = await requests.send({ method: 'POST', path: `/containers/${encodeURIComponent(id)}/exec`, body, signal });
  // Gone, or it does not run.
  if (made.status === 404 || made.status === 409) return null;
  if (made.status !== 201) throw answerFault(`${host}: a command in ${id}`, made);
  const { Id: execId } = made.json as { readonly Id: string };
  let output = '';
  try {
    const answer = await requests.open({ method: 'POST', path: `/exec/${execId}/start`, body: { Detach: false, Tty: false }, signal });
    const end = (): void => void answer.destroy();
    signal.addEventListener('abort', end);
    try {
      // The command cannot be started.
      if (answer.statusCode === 400 || answer.statusCode === 404 || answer.statusCode === 409) return null;
      if (answer.statusCode !== 200) throw answerFault(`${host}: a command in ${id}`, faultOf(answer.statusCode ?? 0));
      for await (const { stream, line } of readLogLines(answer as AsyncIterable<Uint8Array>, MAX_OUTPUT)) {
        if (stream === 'stdout' && output.length < MAX_OUTPUT) output += `${line}\n`;
      }
    } finally {
      signal.removeEventListener('abort', end);
      answer.destroy();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (signal.aborted) {
    const message = `${host}: a command in ${id} took too long`;
    throw new EngineFault({ kind: 'timeout', message, publicMessage: 'The host of the container did not answer in time.' });
  }
  const ended = await requests.send({ method: 'GET', path: `/exec/${execId}/json` });
  const { ExitCode: exitCode } = (ended.json ?? {}) as { readonly ExitCode?: number | null };
  return ended.status === 200 && exitCode === 0 ? output.slice(0, MAX_OUTPUT) : null;
}
