import { pino } from 'pino';
import type { Log } from '../ports/log.ts';
import type { LogLevel } from './config.ts';

/** The log of the process: JSON lines on standard error, so that what is printed for people has standard output to itself. */
export interface ProcessLog extends Log {
  /** Writes what is still in memory. */
  flush(): void;
}

/** Anything that looks like one of our credentials, or like a bearer token of somebody else's. */
const CREDENTIAL = /\b(tk_|admin_|mk_|cyc_live_|Bearer )[0-9A-Za-z._~+/=-]{12,}/g;

/** Lines are gathered up to this size and this age: a write of its own for each would cost as much as the rest of a refused call. */
const BUFFER_BYTES = 4096;
const FLUSH_MS = 250;

/** Takes credentials out of a line: the last defence, for text that came from outside, such as an upstream's error. */
const redactLine = (line: string): string => line.replace(CREDENTIAL, '$1[redacted]');

/** Makes the log. `destination` is a file descriptor, standard error where it is not given. */
export function makeProcessLog(options: { level: LogLevel; destination?: number }): ProcessLog {
  const destination = pino.destination({
    dest: options.destination ?? 2,
    sync: false,
    minLength: BUFFER_BYTES,
    periodicFlush: FLUSH_MS,
  });
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: redactLine },
    },
    destination,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush: () => {
      try {
        destination.flushSync();
      } catch {
        // Standard error is gone, or not open yet: there is nobody to tell.
      }
    },
  };
}
