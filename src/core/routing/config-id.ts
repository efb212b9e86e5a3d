const OFFSET = 0xcbf29ce484222325n;
const PRIME = 0x100000001b3n;
const MASK = 0xffffffffffffffffn;

/**
 * The id of a project's configuration, as clients of this API expect one: 24 hex digits, the seconds at which the project was made and a
 * hash of its id (FNV-1a, 64 bits). A project has one configuration, always the same.
 */
export function projectConfigId(project: { readonly id: string; readonly createdAtMs: number }): string {
  let hash = OFFSET;
  for (const byte of new TextEncoder().encode(project.id)) hash = ((hash ^ BigInt(byte)) * PRIME) & MASK;
  const seconds = Math.floor(project.createdAtMs / 1000) >>> 0;
  return seconds.toString(16).padStart(8, '0') + hash.toString(16).padStart(16, '0');
}
