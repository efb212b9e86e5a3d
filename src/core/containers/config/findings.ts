import type { ConfigViolation } from './container-config.ts';

/** What stands for the whole file where a rule is about no field of it. */
const WHOLE_FILE = 'tinfoil-config.yml';

/** Violations and warnings that are told of one file; how many more there are is told too. */
export const MAX_FINDINGS = 100;
const MAX_KEY_LENGTH = 64;
const PLAIN_KEY = /^[A-Za-z0-9_-]+$/;

/** The path of a field below another one. Keys that are no plain names stand in quotes, shortened, so that a path is one line. */
export function fieldPath(path: string, key: string): string {
  const isShort = key.length <= MAX_KEY_LENGTH;
  const name = isShort ? key : `${key.slice(0, MAX_KEY_LENGTH)}…`;
  if (!isShort || !PLAIN_KEY.test(key)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}

/** Collects what is wrong with a file and what is odd about it, in the order in which it is found, and no more than a reader can take in. */
export class Findings {
  readonly #violations: ConfigViolation[] = [];
  readonly #warnings: string[] = [];
  readonly #lost: string[] = [];
  #violationCount = 0;
  #warningCount = 0;

  /** Notes a rule that is broken. `path` empty: of the whole file. */
  refuse(path: string, rule: string): void {
    this.#violationCount += 1;
    if (this.#violations.length < MAX_FINDINGS) this.#violations.push({ path: path === '' ? WHOLE_FILE : path, rule });
  }

  /** Notes that what a place holds cannot be told, since a rule is broken there: whatever seems to be missing at it or below it may be there. */
  lose(path: string): void {
    if (this.#lost.length < MAX_FINDINGS) this.#lost.push(path);
  }

  /** Whether a place is one that {@link Findings.lose} named, or below one. */
  isLost(path: string): boolean {
    return this.#lost.some((lost) => path === lost || lost === '' || path.startsWith(`${lost}.`) || path.startsWith(`${lost}[`));
  }

  /** Whether a rule is broken at that very place. */
  isRefused(path: string): boolean {
    return this.#violations.some((violation) => violation.path === path);
  }

  /** Notes that a field is taken and what does not come of it. */
  warn(path: string, consequence: string): void {
    this.#warningCount += 1;
    if (this.#warnings.length < MAX_FINDINGS) this.#warnings.push(`${path}: ${consequence}`);
  }

  get violations(): readonly ConfigViolation[] {
    const more = this.#violationCount - this.#violations.length;
    if (more === 0) return this.#violations;
    return [...this.#violations, { path: WHOLE_FILE, rule: `breaks ${more} more rules, which are not listed` }];
  }

  get warnings(): readonly string[] {
    const more = this.#warningCount - this.#warnings.length;
    return more === 0 ? this.#warnings : [...this.#warnings, `${WHOLE_FILE}: ${more} more warnings are not listed`];
  }
}
