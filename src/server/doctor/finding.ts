/** `ok`: as it should be; `warn`: it works, but not for long or not for everyone; `fail`: it does not work. */
export type Status = 'ok' | 'warn' | 'fail';

/** What a look at one thing found. Where it is not as it should be, `message` ends with how to mend it. */
export interface Finding {
  readonly check: string;
  readonly status: Status;
  readonly message: string;
}

/** Makes findings of one check. */
export const findingsOf = (check: string) => ({
  ok: (message: string): Finding => ({ check, status: 'ok', message }),
  warn: (message: string): Finding => ({ check, status: 'warn', message }),
  fail: (message: string): Finding => ({ check, status: 'fail', message }),
});
