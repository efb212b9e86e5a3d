/** One way in which stored rows contradict each other: which check found it, on what, and the two figures. */
export interface Discrepancy {
  readonly check: string;
  readonly subject: string;
  readonly found: string;
  readonly expected: string;
}
