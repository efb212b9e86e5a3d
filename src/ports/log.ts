/** What a line of the log tells beside its message. Never a credential, a URL or a path of a request. An `Error` goes under `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The structured log. A `pino` logger is one. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}
