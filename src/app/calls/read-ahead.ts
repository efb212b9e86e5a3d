/** The beginning of a body, read before the rest. `isWhole`: there is no rest. */
export interface ReadAhead {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  readonly isWhole: boolean;
}

/** Reads a body until it ends or has shown at least `atLeastBytes`. Throws what reading throws. */
export async function readAhead(body: AsyncIterator<Uint8Array>, atLeastBytes: number): Promise<ReadAhead> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < atLeastBytes) {
    const next = await body.next();
    if (next.done === true) return { pieces, bytes, isWhole: true };
    pieces.push(next.value);
    bytes += next.value.length;
  }
  return { pieces, bytes, isWhole: false };
}
