import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const STEP_BYTES = 1 << 20;

/** Tells which of `texts` stand anywhere in the memory of a process of ours, in UTF-8 or as UTF-16. Linux alone can be asked. */
export function findInMemory(pid: number, texts: readonly string[]): string[] {
  const wanted = texts.flatMap((text) => [
    { text, bytes: Buffer.from(text, 'utf8') },
    { text, bytes: Buffer.from(text, 'utf16le') },
  ]);
  const overlap = Math.max(...wanted.map(({ bytes }) => bytes.length));
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const region = /^([0-9a-f]+)-([0-9a-f]+) r[w-]/.exec(line);
      if (region === null) continue;
      const end = Number.parseInt(region[2] ?? '', 16);
      for (let at = Number.parseInt(region[1] ?? '', 16); at < end; at += STEP_BYTES) {
        const piece = Buffer.alloc(Math.min(STEP_BYTES + overlap, end - at));
        let read: number;
        try {
          read = readSync(memory, piece, 0, piece.length, at);
        } catch {
          // Regions of the kernel, and those that went meanwhile.
          break;
        }
        for (const { text, bytes } of wanted) if (piece.subarray(0, read).includes(bytes)) found.add(text);
      }
    }
  } finally {
    closeSync(memory);
  }
  return [...found];
}
