const BYTES = 16;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The UUID (version 4, RFC 9562) of 16 random bytes that are given as base64url. */
export function uuidOf(token: string): string {
  const text = atob(token.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Array.from({ length: BYTES }, (_, index) => text.charCodeAt(index));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Whether a text is a UUID in lower case, as the ids of containers are. */
export const isUuid = (text: string): boolean => UUID.test(text);
