import { StringDecoder } from 'node:string_decoder';
import type { LogLine } from '../../ports/container-engine.ts';

const HEADER_BYTES = 8;
const CUT = '…';
/** `2026-01-02T03:04:05.123456789Z `: what the engine writes before each line. */
const TIMESTAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?/;

type Stream = LogLine['stream'];

/** One of the two streams: pieces in, lines out. What is beyond the limit of a line is forgotten as it comes. */
function makeLineReader(stream: Stream, maxBytes: number): { push(piece: Buffer): LogLine[]; end(): LogLine[] } {
  let decoder = new StringDecoder('utf8');
  let text = '';
  let kept = 0;
  let isCut = false;

  const finish = (): LogLine[] => {
    const whole = text + decoder.end();
    const wasCut = isCut;
    decoder = new StringDecoder('utf8');
    text = '';
    kept = 0;
    isCut = false;
    const stamp = TIMESTAMP.exec(whole);
    if (stamp === null) return whole === '' ? [] : [{ stream, atMs: 0, line: whole }];
    const line = whole.slice(stamp[0].length).replace(/\r$/, '');
    return [{ stream, atMs: Date.parse(stamp[1] ?? ''), line: wasCut ? `${line}${CUT}` : line }];
  };

  const keep = (piece: Buffer): void => {
    const room = maxBytes - kept;
    if (piece.length > room) isCut = true;
    const taken = piece.subarray(0, Math.max(room, 0));
    kept += taken.length;
    text += decoder.write(taken);
  };

  return {
    push: (piece) => {
      const lines: LogLine[] = [];
      let from = 0;
      for (let end = piece.indexOf(10); end !== -1; end = piece.indexOf(10, from)) {
        keep(piece.subarray(from, end));
        lines.push(...finish());
        from = end + 1;
      }
      if (from < piece.length) keep(piece.subarray(from));
      return lines;
    },
    end: finish,
  };
}

/**
 * Lines out of an engine's log stream with time stamps: frames of an 8-byte header (stream, 3 bytes of nothing, length, big endian) and so
 * many bytes.
 *
 * No more than one line of each stream is kept in memory, `maxLineBytes` of it; a longer one is cut and ends with `…`. The limit is
 * at most 16 KiB: engines store a longer line in pieces of that size, each with a time stamp of its own.
 * Source: Docker Engine API, "Attach to a container", stream format.
 */
export async function* readLogLines(body: AsyncIterable<Uint8Array>, maxLineBytes: number): AsyncGenerator<LogLine, void, undefined> {
  const readers = { stdout: makeLineReader('stdout', maxLineBytes), stderr: makeLineReader('stderr', maxLineBytes) };
  let header = Buffer.alloc(0);
  let left = 0;
  let current: Stream = 'stdout';
  for await (const bytes of body) {
    let piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    while (piece.length > 0) {
      if (left === 0) {
        const wanted = HEADER_BYTES - header.length;
        header = Buffer.concat([header, piece.subarray(0, wanted)]);
        piece = piece.subarray(wanted);
        if (header.length < HEADER_BYTES) continue;
        current = header[0] === 2 ? 'stderr' : 'stdout';
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const content = piece.subarray(0, left);
      left -= content.length;
      piece = piece.subarray(content.length);
      yield* readers[current].push(content);
    }
  }
  yield* readers.stdout.end();
  yield* readers.stderr.end();
}
