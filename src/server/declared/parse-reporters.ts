import type { DeclaredReporter } from './declared-config.ts';
import type { Field } from './field.ts';
import { type NamedFields, namesGiven } from './named-fields.ts';
import { refuseDouble } from './refuse-double.ts';

const ID = { pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, rule: 'an id of 1 to 64 letters, digits, ".", "_" and "-"' };
const SECRET = { secret: true, pattern: /^[\x20-\x7e]+$/, rule: 'a secret of 1 to 512 printable ASCII characters', maxLength: 512 };

/** Reads the section `usage_reporters`. A reporter may name the declared tenants. */
export function parseReporters(section: Field, tenants: readonly { readonly id: string }[], named: NamedFields): DeclaredReporter[] {
  const known = new Set(tenants.map(({ id }) => id));
  const seen = new Set<string>();
  return section.items().map((item) => {
    const given = item.fields(['id', 'secret', 'previous_secret', 'tenants']);
    const id = given.id.text(ID);
    refuseDouble(seen, id, given.id);
    const secret = given.secret.text(SECRET);
    const previousSecret = given.previous_secret.or(null, (f) => f.text(SECRET));
    if (!given.tenants.isGiven) given.tenants.fail('is missing; it must list the tenants that it reports for');
    const own = new Set<string>();
    const ids = given.tenants.items().map((tenant) => {
      const tenantId = tenant.text();
      if (!known.has(tenantId)) tenant.fail(`names the tenant "${tenantId}", which is not declared; add it under tenants`);
      refuseDouble(own, tenantId, tenant);
      return tenantId;
    });
    named.add('usage-reporter', id, namesGiven(given));
    return { id, secret, previousSecret, tenants: ids };
  });
}
