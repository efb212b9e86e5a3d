import type { Progress } from '../server/backup/write-backup.ts';
import type { Terminal } from './terminal.ts';

const CLEAR_LINE = '\r\u001b[2K';

/** Shows how far something is, on standard error: on a terminal in one line that changes, else in a line for each thing that begins. */
export interface ProgressLine {
  readonly show: Progress;
  /** Takes the line away, before anything else is written. */
  end(): void;
}

/** Makes a {@link ProgressLine}. */
export function makeProgressLine(terminal: Pick<Terminal, 'err' | 'isLive'>): ProgressLine {
  let doing = '';
  let percent = -1;
  return {
    show: (what, share) => {
      const now = share === null ? -1 : Math.floor(share * 100);
      if (what === doing && now === percent) return;
      if (terminal.isLive) terminal.err(`${CLEAR_LINE}${what}${share === null ? ' ...' : ` ${now} %`}`);
      else if (what !== doing) terminal.err(`${what} ...\n`);
      doing = what;
      percent = now;
    },
    end: () => {
      if (terminal.isLive && doing !== '') terminal.err(CLEAR_LINE);
      doing = '';
    },
  };
}
