import type { Command } from 'commander';

/** An option as a shell completes it. `values` are its choices; a value that nobody can list is null, a switch has none. */
export interface OptionWords {
  readonly flag: string;
  readonly short: string | null;
  readonly description: string;
  readonly takesValue: boolean;
  readonly values: readonly string[];
  /** Whether its value is the name of a file or folder. */
  readonly isPath: boolean;
}

/** A command with what may follow its name. `path` is its names from the top, empty for the program itself. */
export interface CommandWords {
  readonly path: readonly string[];
  readonly description: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly OptionWords[];
  /** What its first argument is called; null where it takes none. */
  readonly argument: string | null;
  /** The choices of its first argument, where it has some. */
  readonly values: readonly string[];
  readonly takesFile: boolean;
}

const FILE_ARGUMENTS = new Set(['file', 'folder']);
const PATH_OPTIONS = new Set(['--data-dir', '--config', '--operator-key-file', '--admin-key-file', '--public-key-file']);

/** Every command of a program, the program itself first, as completions need them. */
export function wordsOf(program: Command): CommandWords[] {
  const globals = optionsOf(program);
  const walk = (command: Command, path: readonly string[]): CommandWords[] => {
    const own = path.length === 0 ? globals : [...optionsOf(command), ...globals];
    const [argument] = command.registeredArguments;
    const words: CommandWords = {
      path,
      description: command.description(),
      commands: command.commands.map((each) => ({ name: each.name(), description: each.description() })),
      options: own,
      argument: argument?.name() ?? null,
      values: argument?.argChoices ?? [],
      takesFile: argument !== undefined && FILE_ARGUMENTS.has(argument.name()),
    };
    return [words, ...command.commands.flatMap((each) => walk(each, [...path, each.name()]))];
  };
  return walk(program, []);
}

const optionsOf = (command: Command): OptionWords[] =>
  command.options.map((option) => ({
    flag: option.long ?? '',
    short: option.short ?? null,
    description: option.description,
    takesValue: option.required || option.optional,
    values: option.argChoices ?? [],
    isPath: PATH_OPTIONS.has(option.long ?? ''),
  }));
