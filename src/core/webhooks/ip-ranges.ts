/** An address as a number of `bits` bits: 32 for IPv4, 128 for IPv6. */
export interface IpAddress {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** All addresses that begin with the first `length` bits of `address`. */
export interface IpRange {
  readonly address: IpAddress;
  readonly length: number;
}

const OCTET = /^(?:0|[1-9]\d{0,2})$/;
const HEXTET = /^[0-9a-f]{1,4}$/i;

function parseIpv4(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let value = 0n;
  for (const part of parts) {
    if (!OCTET.test(part) || Number(part) > 255) return null;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

/** The 16-bit groups of one side of an IPv6 address, whose last may be an IPv4 address; null where they are none. */
function groupsOf(text: string): bigint[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const groups: bigint[] = [];
  for (const [index, part] of parts.entries()) {
    const ipv4 = index === parts.length - 1 && part.includes('.') ? parseIpv4(part) : null;
    if (ipv4 !== null) groups.push(ipv4 >> 16n, ipv4 & 0xffffn);
    else if (HEXTET.test(part)) groups.push(BigInt(`0x${part}`));
    else return null;
  }
  return groups;
}

function parseIpv6(text: string): bigint | null {
  const sides = text.split('::');
  if (sides.length > 2) return null;
  const [head, tail] = [groupsOf(sides[0] ?? ''), sides.length === 2 ? groupsOf(sides[1] ?? '') : []];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (sides.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array<bigint>(missing).fill(0n), ...tail];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

/** Reads an address, `10.0.0.1` or `fd00::1`, without brackets or a zone; null where it is none. */
export function parseIp(text: string): IpAddress | null {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) return { bits: 32, value: ipv4 };
  const ipv6 = text.includes(':') ? parseIpv6(text) : null;
  return ipv6 === null ? null : { bits: 128, value: ipv6 };
}

/** Reads a range in CIDR notation, `10.0.0.0/8`; a bare address is a range of one. Null where it is none, such as `10.0.0.0/33`. */
export function parseRange(text: string): IpRange | null {
  const [address = '', length, more] = text.split('/');
  const parsed = parseIp(address);
  if (parsed === null || more !== undefined) return null;
  if (length === undefined) return { address: parsed, length: parsed.bits };
  if (!/^\d{1,3}$/.test(length) || Number(length) > parsed.bits) return null;
  return { address: parsed, length: Number(length) };
}

/** Whether an address lies in a range. An address of one family lies in no range of the other: see {@link meaningsOf}. */
export function isInRange(address: IpAddress, range: IpRange): boolean {
  if (address.bits !== range.address.bits) return false;
  const shift = BigInt(address.bits - range.length);
  return address.value >> shift === range.address.value >> shift;
}

const rangeOf = (text: string): IpRange => {
  const range = parseRange(text);
  if (range === null) throw new TypeError(`${text} is no range`);
  return range;
};

/** Ranges of IPv6 whose addresses stand for the IPv4 address in them, and how many bits lie behind that. */
const EMBEDDING: readonly (readonly [range: IpRange, bitsBehind: bigint])[] = [
  [rangeOf('::ffff:0:0/96'), 0n],
  [rangeOf('::/96'), 0n],
  [rangeOf('64:ff9b::/96'), 0n],
  [rangeOf('64:ff9b:1::/48'), 0n],
  [rangeOf('2002::/16'), 80n],
  // Teredo (RFC 4380): the server, and below the client with every bit turned.
  [rangeOf('2001::/32'), 64n],
];
const TEREDO = rangeOf('2001::/32');

/** Everything that an address may lead to: itself and, where it is an IPv6 form of an IPv4 address, that one. */
export function meaningsOf(address: IpAddress): IpAddress[] {
  if (address.bits === 32) return [address];
  // `::` and `::1` begin like the oldest of those forms, and are none.
  if (address.value < 0x1_0000n) return [address];
  const inner = EMBEDDING.filter(([range]) => isInRange(address, range)).map(([, bitsBehind]): IpAddress => ({
    bits: 32,
    value: (address.value >> bitsBehind) & 0xffff_ffffn,
  }));
  if (isInRange(address, TEREDO)) inner.push({ bits: 32, value: ~address.value & 0xffff_ffffn });
  return [address, ...inner];
}
