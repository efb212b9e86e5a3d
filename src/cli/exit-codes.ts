/** How a command ends. They are documented in `docs/commands.md`. */
export const EXIT = {
  /** It did what it was asked. */
  done: 0,
  /** It could not; the last line on standard error says why. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** It looked, and what it found is wrong: books that contradict themselves, a check of the doctor that fails. */
  found: 3,
  /** No server answers. */
  unreachable: 4,
  /** The configuration is wrong; `start` ends so as well. */
  config: 78,
} as const;

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command cannot go on. `message` is one sentence for people that says what to do; it holds no secret. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}
