import type { Field } from './field.ts';

/** Who may read the metrics, and what they tell. */
export interface MetricsConfig {
  /** A bearer token of scrapers, beside the operator key; null where none is declared. */
  readonly token: string | null;
  /** Anybody who reaches the control plane may read them. */
  readonly isOpen: boolean;
  /** What counts use tells it by tenant. */
  readonly tenantLabels: boolean;
}

/** What holds where the file says nothing. */
export const DEFAULT_METRICS: MetricsConfig = { token: null, isOpen: false, tenantLabels: false };

const TOKEN = { pattern: /^[\x21-\x7e]{16,512}$/, rule: 'a token of 16 to 512 visible ASCII characters', secret: true };

/** Reads and checks the section `metrics`. */
export function parseMetrics(field: Field): MetricsConfig {
  const given = field.fields(['token', 'open', 'tenant_labels']);
  const token = given.token.or(DEFAULT_METRICS.token, (f) => f.text(TOKEN));
  const isOpen = given.open.or(DEFAULT_METRICS.isOpen, (f) => f.boolean());
  if (isOpen && token !== null) given.open.fail('is true, which makes the token meaningless; remove one of the two');
  return { token, isOpen, tenantLabels: given.tenant_labels.or(DEFAULT_METRICS.tenantLabels, (f) => f.boolean()) };
}
