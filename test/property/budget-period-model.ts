import type { RolloverPolicy } from '../../src/core/ledger/account.ts';

/**
 * A budget with periods, told a second time and as simply as possible: one period after the other, and what remains as the only figure that
 * is carried. Shares nothing with the program.
 */
export class PeriodModel {
  remaining: bigint;
  spent = 0n;
  held = 0n;
  owed = 0n;
  /** What each period is given of its own. */
  base: bigint;
  periods = 0;
  readonly #policy: RolloverPolicy;
  readonly #step: { readonly months: number } | { readonly ms: number };
  readonly #firstDay: number;
  start: number;
  end: number;

  constructor(budget: { allocated: bigint; policy: RolloverPolicy; step: { months: number } | { ms: number }; start: number }) {
    this.base = budget.allocated;
    this.remaining = budget.allocated;
    this.#policy = budget.policy;
    this.#step = budget.step;
    this.#firstDay = new Date(budget.start).getUTCDate();
    this.start = budget.start;
    this.end = this.#after(budget.start);
  }

  get allocated(): bigint {
    return this.remaining + this.spent + this.held + this.owed;
  }

  /** The end of the period that begins at `start`: a calendar walked day by day. */
  #after(start: number): number {
    if ('ms' in this.#step) return start + this.#step.ms;
    const date = new Date(start);
    for (let month = 0; month < this.#step.months; month++) {
      // To the first of the next month, and from there to the wanted day or the last.
      date.setUTCDate(1);
      date.setUTCMonth(date.getUTCMonth() + 1);
    }
    const wanted = date.getUTCMonth();
    for (let day = 1; day < this.#firstDay; day++) {
      date.setUTCDate(day + 1);
      if (date.getUTCMonth() !== wanted) {
        date.setUTCDate(0);
        break;
      }
    }
    return date.getTime();
  }

  /** Ends every period that is over at `now`, one by one. */
  passTo(now: number): void {
    while (this.end <= now) {
      // What was not spent, whoever holds or is owed it: the period's spend is forgotten, so what remains grows by it.
      const isOverspent = this.spent > this.allocated;
      const unspent = isOverspent ? 0n : this.allocated - this.spent;
      const left = isOverspent ? -this.held - this.owed : unspent - this.held - this.owed;
      this.spent = 0n;
      if (this.#policy === 'NONE') this.remaining = this.base - this.held - this.owed;
      else {
        const all = left + this.base;
        this.remaining = this.#policy === 'CARRY_FORWARD' || all < this.base ? all : this.base;
      }
      this.start = this.end;
      this.end = this.#after(this.start);
      this.periods += 1;
    }
  }

  /** A new size: whatever was carried is part of it, or gone. */
  resize(amount: bigint): void {
    this.remaining += amount - this.allocated;
    this.base = amount;
  }

  /** More, or less, for this period and for all that follow. Of a budget that shrinks below what it carried nothing else is left. */
  add(amount: bigint): void {
    this.remaining += amount;
    this.base = this.base + amount < 0n ? 0n : this.base + amount;
  }
}
