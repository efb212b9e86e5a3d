import type { Field } from './field.ts';
import { refuseDouble } from './refuse-double.ts';

/** `scheme://host[:port]`, as browsers write it in an `Origin` header: no path, no default port, a host in lower case. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/;
const RULE = 'an origin as browsers send it, such as "https://app.example.com" or "http://localhost:5173", without a path or a final slash';

/** Reads the list of origins whose pages may call the gateway. `*` is none: every page that anybody opens would be among them. */
export function parseCorsOrigins(field: Field): string[] {
  const seen = new Set<string>();
  return field.items().map((item) => {
    const origin = item.text({ pattern: ORIGIN, rule: RULE, maxLength: 300 });
    const url = URL.parse(origin);
    // A browser leaves the scheme's own port out, so an origin that names it would never match.
    if ((url?.protocol === 'http:' || url?.protocol === 'https:') && url.origin !== origin)
      item.fail(`must be ${RULE}, but browsers write it as "${url.origin}"`);
    refuseDouble(seen, origin, item);
    return origin;
  });
}
