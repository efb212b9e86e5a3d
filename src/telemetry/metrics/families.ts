/** Values of a family's labels, by their names. */
export type Labels = Readonly<Record<string, string>>;

/** One line of the exposition. `metricName` is given where it is not the family's own. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
  readonly metricName?: string;
}

/** What a family is called. Units are part of the name: `_seconds`, `_usd`, `_total` for what only grows. */
export interface FamilyOptions {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

/** All series of one name. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  samples(): Sample[];
}

/** A number that only grows. Add to `value`: a property costs a nanosecond, a look-up by labels a few hundred. */
export interface Cell {
  value: number;
}

/** Series of one family at most: labels come from catalogues that operators fill, and a scraper must survive them. */
const MAX_SERIES = 2000;
/** What every label says in the one series that takes what is beyond them. */
const OVERFLOW = 'other';

/** The children of a family by their labels' values. */
class Children<T> {
  readonly #byKey = new Map<string, { readonly labels: Labels; readonly child: T }>();
  readonly #names: readonly string[];
  readonly #make: () => T;

  constructor(names: readonly string[], make: () => T) {
    this.#names = names;
    this.#make = make;
    if (names.length === 0) this.of([]);
  }

  of(values: readonly string[]): T {
    const key = values.join('\u0000');
    const known = this.#byKey.get(key);
    if (known !== undefined) return known.child;
    if (this.#byKey.size >= MAX_SERIES && values.some((value) => value !== OVERFLOW)) return this.of(this.#names.map(() => OVERFLOW));
    const labels = Object.fromEntries(this.#names.map((name, index) => [name, values[index] ?? '']));
    const child = this.#make();
    this.#byKey.set(key, { labels, child });
    return child;
  }

  all(): IterableIterator<{ readonly labels: Labels; readonly child: T }> {
    return this.#byKey.values();
  }
}

/** Counts that only grow, one for each combination of label values. `scale` turns what is counted into the unit of the name. */
export class CounterFamily implements Family {
  readonly type = 'counter';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly #scale: number;
  readonly #children: Children<Cell>;

  constructor(options: FamilyOptions & { readonly scale?: number }) {
    this.name = options.name;
    this.help = options.help;
    this.labels = options.labels ?? [];
    this.#scale = options.scale ?? 1;
    this.#children = new Children(this.labels, () => ({ value: 0 }));
  }

  /** The cell of these label values, in the order of the names; always the same one, to be kept by who adds to it often. */
  cell(...values: readonly string[]): Cell {
    return this.#children.of(values);
  }

  samples(): Sample[] {
    return Array.from(this.#children.all(), ({ labels, child }) => ({ labels, value: child.value * this.#scale }));
  }
}

/** Values that somebody else keeps, read when a scraper asks. A counter is one too where its owner only ever adds. */
export class ReadFamily implements Family {
  readonly type: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  #read: () => readonly Sample[] = () => [];

  constructor(options: FamilyOptions & { readonly type: 'counter' | 'gauge' }) {
    this.type = options.type;
    this.name = options.name;
    this.help = options.help;
    this.labels = options.labels ?? [];
  }

  /** Takes its one value from `read` from now on. */
  readFrom(read: () => number): void {
    this.#read = () => [{ labels: {}, value: read() }];
  }

  /** Takes its values from `read` from now on. */
  readAllFrom(read: () => readonly Sample[]): void {
    this.#read = read;
  }

  samples(): Sample[] {
    return [...this.#read()];
  }
}

/** How often values lay in each range. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] as number)) index += 1;
    this.#counts[index] = (this.#counts[index] as number) + 1;
    this.#sum += value;
  }

  samples(name: string, labels: Labels): Sample[] {
    let count = 0;
    const buckets = Array.from(this.#counts, (inRange, index) => {
      count += inRange;
      const le = index < this.#bounds.length ? String(this.#bounds[index]) : '+Inf';
      return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
    });
    return [...buckets, { metricName: `${name}_sum`, labels, value: this.#sum }, { metricName: `${name}_count`, labels, value: count }];
  }
}

/** Histograms, one for each combination of label values. `bounds` are the upper ends of the ranges, ascending. */
export class HistogramFamily implements Family {
  readonly type = 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly #children: Children<Histogram>;

  constructor(options: FamilyOptions & { readonly bounds: readonly number[] }) {
    this.name = options.name;
    this.help = options.help;
    this.labels = options.labels ?? [];
    this.#children = new Children(this.labels, () => new Histogram(options.bounds));
  }

  /** The histogram of these label values; always the same one. */
  of(...values: readonly string[]): Histogram {
    return this.#children.of(values);
  }

  samples(): Sample[] {
    return Array.from(this.#children.all(), ({ labels, child }) => child.samples(this.name, labels)).flat();
  }
}
