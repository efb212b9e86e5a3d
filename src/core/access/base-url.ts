/** `scheme://host[:port][/path]` in the characters that need no escape. */
const PLAIN_ADDRESS =
  /^https?:\/\/(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9][A-Za-z0-9._-]{0,252})(?::\d{1,5})?(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,1000})?$/;

const RULE = 'be an http:// or https:// address such as "https://api.example.com/v1"';

/**
 * The rule that a base address breaks, as words that complete "must ..."; null where it breaks none. The configuration file and the
 * operator API ask the same question here.
 *
 * No user or password, query or fragment: people put credentials there, and they would be shown. Ports are 1 to 65535.
 */
export function baseUrlFault(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return RULE;
  if (url.username !== '' || url.password !== '') return 'not hold a user or password; put the credential into api_key';
  if (text.includes('?') || text.includes('#')) return 'not hold a query or fragment; leave out everything from "?" or "#" on';
  // The parser is forgiving: it takes blanks, backslashes and missing slashes, which other programs read otherwise.
  return PLAIN_ADDRESS.test(text) && url.port !== '0' ? null : RULE;
}
