import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { EngineFault, type ExecOutput, type ExecSpec, type UnitExec } from '../../ports/container-engine.ts';
import { answerFault } from './engine-faults.ts';
import type { EngineRequests } from './requests.ts';

const HEADER_BYTES = 8;
/** An engine lets go of a terminal for two keys that people do press, unless it is told others. Nobody types these. */
const DETACH_KEYS = `ctrl-^,${Array.from('castellan-lets-go').join(',')}`;

export interface ExecOptions {
  readonly requests: EngineRequests;
  readonly host: string;
}

/** Starts a process in a unit; see the port. */
export async function startExec({ requests, host }: ExecOptions, unitId: string, spec: ExecSpec): Promise<UnitExec> {
  const what = `${host}: a process in ${unitId}`;
  const made = await requests.send({
    method: 'POST',
    path: `/containers/${encodeURIComponent(unitId)}/exec`,
    body: {
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: spec.hasTerminal,
      DetachKeys: DETACH_KEYS,
      Env: spec.env.map(({ name, value }) => `${name}=${value}`),
      Cmd: spec.command,
    },
  });
  // One that does not run, or is paused, is told by 409.
  if (made.status !== 201) throw answerFault(what, made, made.status === 404 || made.status === 409 ? 'gone' : undefined);
  const path = `/exec/${encodeURIComponent((made.json as { Id: string }).Id)}`;
  const stream = await requests.upgrade({ method: 'POST', path: `${path}/start`, body: { Detach: false, Tty: spec.hasTerminal } });
  if ('status' in stream) throw answerFault(what, stream, stream.status === 404 || stream.status === 409 ? 'gone' : undefined);

  return {
    output: readOutput(stream, { what, hasTerminal: spec.hasTerminal }),
    write: async (bytes) => {
      if (!stream.writable || stream.write(bytes)) return;
      // A stream that breaks has no more room, and nobody waits for it.
      const left = new AbortController();
      const { signal } = left;
      await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })]).catch(() => undefined);
      left.abort();
    },
    endInput: () => void stream.end(),
    resize: async ({ columns, rows }) => {
      const answer = await requests.send({ method: 'POST', path: `${path}/resize`, query: { w: columns, h: rows } });
      if (answer.status !== 200 && answer.status !== 201) throw answerFault(`${what}: its terminal`, answer);
    },
    exitCode: async () => {
      const answer = await requests.send({ method: 'GET', path: `${path}/json` });
      if (answer.status === 404) return null;
      if (answer.status !== 200) throw answerFault(what, answer);
      const { Running: isRunning, ExitCode: exitCode } = answer.json as { Running: boolean; ExitCode: number | null };
      return isRunning ? null : exitCode;
    },
    close: () => void stream.destroy(),
  };
}

/** What comes out of a process; a stream that breaks is an `unreachable` host. */
async function* readOutput(
  stream: Duplex,
  { what, hasTerminal }: { readonly what: string; readonly hasTerminal: boolean },
): AsyncGenerator<ExecOutput, void, undefined> {
  try {
    const pieces = stream as AsyncIterable<Buffer>;
    if (!hasTerminal) return yield* readFrames(pieces);
    for await (const bytes of pieces) yield { stream: 'stdout', bytes };
  } catch (cause) {
    const message = `${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new EngineFault({ kind: 'unreachable', message, publicMessage: 'The host of the container cannot be reached.', cause });
  }
}

/**
 * Takes the two streams of a process apart: frames of an 8-byte header (stream, 3 bytes of nothing, length, big endian) and so many bytes, which
 * are passed on as they come. Source: Docker Engine API, "Attach to a container", stream format.
 */
export async function* readFrames(pieces: AsyncIterable<Buffer>): AsyncGenerator<ExecOutput, void, undefined> {
  let header = Buffer.alloc(0);
  let left = 0;
  let stream: ExecOutput['stream'] = 'stdout';
  for await (const piece of pieces) {
    let rest = piece;
    while (rest.length > 0) {
      if (left === 0) {
        const wanted = HEADER_BYTES - header.length;
        header = Buffer.concat([header, rest.subarray(0, wanted)]);
        rest = rest.subarray(wanted);
        if (header.length < HEADER_BYTES) continue;
        stream = header[0] === 2 ? 'stderr' : 'stdout';
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const bytes = rest.subarray(0, left);
      left -= bytes.length;
      rest = rest.subarray(bytes.length);
      yield { stream, bytes };
    }
  }
}
