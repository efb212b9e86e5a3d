import type { CommandWords } from './words.ts';

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** Whether the words typed so far are those of a command: all of its names, and none of a command below it. */
function conditionOf({ path, commands }: CommandWords): string {
  const below = commands.map(({ name }) => name);
  const seen = path.map((name) => `__fish_seen_subcommand_from ${name}`);
  const unseen = below.length === 0 ? [] : [`not __fish_seen_subcommand_from ${below.join(' ')}`];
  return [...seen, ...unseen].join('; and ');
}

/** A fish completion of a program's commands, with their descriptions. */
export function fishCompletion(commands: readonly CommandWords[]): string {
  const lines: string[] = [];
  const globals = new Set((commands[0]?.options ?? []).map(({ flag }) => flag));
  for (const command of commands) {
    const condition = conditionOf(command);
    const when = condition === '' ? '' : ` -n ${quoted(condition)}`;
    for (const { name, description } of command.commands) lines.push(`complete -c castellan${when} -a ${name} -d ${quoted(description)}`);
    for (const value of command.values) lines.push(`complete -c castellan${when} -a ${value}`);
    if (command.takesFile) lines.push(`complete -c castellan${when} -F`);
    for (const { flag, short, description, takesValue, values, isPath } of command.options) {
      // Options of every command are said once, for all of them.
      if (globals.has(flag) && command.path.length > 0) continue;
      const scope = globals.has(flag) ? '' : when;
      const value = !takesValue ? '' : values.length > 0 ? ` -x -a ${quoted(values.join(' '))}` : isPath ? ' -r -F' : ' -x';
      lines.push(
        `complete -c castellan${scope} -l ${flag.slice(2)}${short === null ? '' : ` -s ${short.slice(1)}`}${value} -d ${quoted(description)}`,
      );
    }
  }
  return `# Completion of castellan for fish. Load it with: castellan completion fish | source
complete -c castellan -f
${lines.join('\n')}
`;
}
