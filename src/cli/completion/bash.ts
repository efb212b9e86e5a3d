import type { CommandWords } from './words.ts';

/** Words of one line of a `case`, quoted for the shell; ours hold nothing that it reads otherwise. */
const listed = (words: readonly string[]): string => words.join(' ');

/**
 * A bash completion of a program's commands: of the names below the command that was typed so far, of its options, and of the values of an
 * option that has choices. Needs no other package.
 */
export function bashCompletion(commands: readonly CommandWords[]): string {
  const cases = commands.map(({ path, commands: below, options, values, takesFile }) => {
    const flags = options.flatMap(({ flag, short }) => [flag, ...(short === null ? [] : [short])]);
    const words = [...below.map(({ name }) => name), ...values];
    return `    '${path.join(' ')}') words='${listed(words)}' flags='${listed([...flags, '--help'])}' files=${takesFile ? 1 : 0} ;;`;
  });
  const all = new Map(commands.flatMap(({ options }) => options).map((option) => [option.flag, option]));
  const names = (option: { readonly flag: string; readonly short: string | null }): string =>
    option.short === null ? option.flag : `${option.flag}|${option.short}`;
  const valued = [...all.values()].filter(({ takesValue }) => takesValue);
  const chosen = valued
    .filter(({ values }) => values.length > 0)
    .map((option) => `    ${names(option)}) COMPREPLY=($(compgen -W '${listed(option.values)}' -- "$current")); return ;;`);
  const paths = valued.filter(({ isPath }) => isPath).map(names);
  const others = valued.filter(({ values, isPath }) => values.length === 0 && !isPath).map(names);
  const paths_ = commands.filter(({ path }) => path.length > 0).map(({ path }) => `'${path.join(' ')}'`);
  return `# Completion of castellan for bash. Load it with: source <(castellan completion bash)
_castellan_files() {
  # A name may hold spaces.
  local IFS=$'\\n'
  COMPREPLY=($(compgen -f -- "$1"))
}
_castellan() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  local command='' next='' index words='' flags='' files=0
  COMPREPLY=()
  case "$previous" in
${chosen.join('\n')}
    ${paths.join('|')}) _castellan_files "$current"; return ;;
    ${others.join('|')}) return ;;
  esac
  for ((index = 1; index < COMP_CWORD; index++)); do
    next="\${command:+$command }\${COMP_WORDS[index]}"
    case "$next" in
      ${paths_.join('|')}) command="$next" ;;
    esac
  done
  case "$command" in
${cases.join('\n')}
  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif ((files)); then
    _castellan_files "$current"
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}
complete -o filenames -F _castellan castellan
`;
}
