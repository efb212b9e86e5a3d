import type { CommandWords, OptionWords } from './words.ts';

/** Text within single quotes, with what \`_arguments\` and \`_describe\` read as the end of a name taken out of its meaning. */
const quoted = (text: string): string =>
  text
    .replaceAll('\\', '\\\\')
    .replaceAll(/[[\]:]/g, '\\$&')
    .replaceAll("'", "'\\''");

const functionOf = (path: readonly string[]): string => ['_castellan', ...path].join('_').replaceAll('-', '_');

function optionSpec({ flag, short, description, takesValue, values, isPath }: OptionWords): string[] {
  const value = !takesValue ? '' : values.length > 0 ? `:value:(${values.join(' ')})` : isPath ? ':file:_files' : ':value:';
  return [flag, ...(short === null ? [] : [short])].map((name) => `'${name}[${quoted(description)}]${value}'`);
}

/** A zsh completion of a program's commands, with their descriptions. */
export function zshCompletion(commands: readonly CommandWords[]): string {
  const functions = commands.map(({ path, commands: below, options, argument, values, takesFile }) => {
    const specs = [...options.flatMap(optionSpec), `'--help[${quoted('show what the command takes')}]'`];
    if (below.length > 0) specs.push(`'1:command:->command'`, `'*::argument:->argument'`);
    else if (values.length > 0) specs.push(`'1:value:(${values.join(' ')})'`);
    else if (takesFile) specs.push(`'1:file:_files'`);
    else if (argument !== null) specs.push(`'1:${argument}:'`);
    const lines = [`${functionOf(path)}() {`, '  local context state line', '  typeset -A opt_args', `  _arguments -C \\`];
    lines.push(`    ${specs.join(' \\\n    ')}`);
    if (below.length > 0) {
      const described = below.map(({ name, description }) => `'${name}:${quoted(description)}'`).join(' ');
      const known = below.map(({ name }) => `        ${name}) ${functionOf([...path, name])} ;;`);
      lines.push(
        '  case "$state" in',
        '    command)',
        `      local -a names=(${described})`,
        `      _describe command names ;;`,
        '    argument)',
        '      case "$line[1]" in',
        ...known,
        '      esac ;;',
        '  esac',
      );
    }
    return [...lines, '}'].join('\n');
  });
  return `#compdef castellan
# Completion of castellan for zsh. Load it with: source <(castellan completion zsh)
${functions.join('\n')}
if [ "$funcstack[1]" = _castellan ]; then
  _castellan "$@"
else
  compdef _castellan castellan
fi
`;
}
