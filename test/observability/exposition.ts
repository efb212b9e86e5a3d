/** Metrics as a scraper reads them. */
export interface Scraped {
  /** Names with their types, histograms by the family's name. */
  readonly types: ReadonlyMap<string, string>;
  /** The value of one series; undefined where there is none. Labels in any order. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
  /** The labels of every series of a name. */
  series(name: string): Readonly<Record<string, string>>[];
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

const keyOf = (name: string, labels: Readonly<Record<string, string>>): string =>
  JSON.stringify([name, Object.entries(labels).toSorted(([a], [b]) => a.localeCompare(b))]);

/** Reads the text format, strictly: a line that is none of it throws. */
export function parseExposition(text: string): Scraped {
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  const all: { readonly name: string; readonly labels: Readonly<Record<string, string>> }[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type !== null) {
      types.set(type[1] ?? '', type[2] ?? '');
      continue;
    }
    const match = LINE.exec(line);
    if (match === null) throw new Error(`not the text format: ${line}`);
    const [, name = '', inner = '', value = ''] = match;
    const labels = Object.fromEntries(Array.from(inner.matchAll(LABEL), ([, label = '', text2 = '']) => [label, text2]));
    const key = keyOf(name, labels);
    if (values.has(key)) throw new Error(`twice: ${line}`);
    values.set(key, value === '+Inf' ? Infinity : Number(value));
    all.push({ name, labels });
  }
  return {
    types,
    value: (name, labels = {}) => values.get(keyOf(name, labels)),
    series: (name) => all.filter((each) => each.name === name).map(({ labels }) => labels),
  };
}
