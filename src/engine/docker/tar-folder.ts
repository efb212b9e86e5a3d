const BLOCK = 512;

const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;

/**
 * A tar archive of one folder and nothing in it: what is unpacked over a folder that is there gives it this owner and mode.
 * Source: POSIX.1-1988, ustar.
 */
export function tarFolder(folder: { readonly name: string; readonly mode: number; readonly ownerId: number }): Uint8Array {
  const header = Buffer.alloc(BLOCK);
  header.write(`${folder.name}/`, 0, 100, 'utf8');
  header.write(octal(folder.mode, 8), 100, 'latin1');
  header.write(octal(folder.ownerId, 8), 108, 'latin1');
  header.write(octal(folder.ownerId, 8), 116, 'latin1');
  header.write(octal(0, 12), 124, 'latin1');
  header.write(octal(0, 12), 136, 'latin1');
  // The sum is taken with blanks in its own place.
  header.write('        5', 148, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 7)} `, 148, 'latin1');
  return Buffer.concat([header, Buffer.alloc(2 * BLOCK)]);
}
