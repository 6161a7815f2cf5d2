import type { Shell, Verb } from './verb.ts';

/** What may stand after some words: `after` is '' at the start, `items act` behind a verb. */
interface Step {
  after: string;
  words: string[];
}

/** Flags of a verb, without the name of their value. */
function flagsOf({ options = [] }: Verb): string[] {
  return [...options.map(({ flags }) => flags.split(' ')[0] ?? ''), '--json', '--help'];
}

/** Verbs at the start, second words behind a group, flags and known arguments behind a verb. */
export function completionSteps(verbs: readonly Verb[]): Step[] {
  const groups = new Map<string, string[]>([['', []]]);
  for (const { path } of verbs) {
    const [first = '', second] = path.split(' ');
    const start = groups.get('') ?? [];
    if (!start.includes(first)) start.push(first);
    if (second !== undefined) groups.set(first, [...(groups.get(first) ?? []), second]);
  }
  return [
    ...[...groups].map(([after, words]) => ({ after, words: [...words, '--help'] })),
    ...verbs.map((verb) => ({
      after: verb.path,
      words: [...(verb.arguments ?? []).flatMap(({ choices = [] }) => choices), ...flagsOf(verb)],
    })),
  ];
}

/** Values that an option takes, by `verb flag`. */
function valuesOf(verbs: readonly Verb[]): Step[] {
  return verbs.flatMap(({ path, options = [] }) =>
    options.flatMap(({ flags, choices }) =>
      choices ? [{ after: `${path} ${flags.split(' ')[0]}`, words: [...choices] }] : [],
    ),
  );
}

/** A script that completes `factory` in a shell. Pure; words are plain, so nothing has to be escaped. */
export function completionScript(shell: Shell, verbs: readonly Verb[]): string {
  const steps = completionSteps(verbs);
  const values = valuesOf(verbs);
  if (shell === 'bash') return bash(steps, values);
  return shell === 'zsh' ? zsh(steps, values) : fish(steps, values);
}

const cases = (steps: Step[], indent: string): string =>
  steps.map(({ after, words }) => `${indent}'${after}') offer='${words.join(' ')}' ;;`).join('\n');

/** Bash and zsh: the verb is the longest beginning of the line, flags left out, that is one. */
const lookUp = (steps: Step[], values: Step[]): string => `  case "$verb $previous" in
${cases(values, '    ')}
    *)
      case "$verb" in
${cases(steps, '        ')}
      esac
      ;;
  esac`;

const groupPattern = (steps: Step[]): string =>
  [...new Set(steps.flatMap(({ after }) => (after.includes(' ') ? [after.split(' ')[0]] : [])))].join('|');

const bash = (steps: Step[], values: Step[]): string => `# bash completion of factory
_factory() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" verb='' offer=''
  [ "$COMP_CWORD" -gt 1 ] && verb="\${COMP_WORDS[1]}"
  case "$verb" in
    ${groupPattern(steps)}) [ "$COMP_CWORD" -gt 2 ] && verb="$verb \${COMP_WORDS[2]}" ;;
  esac
${lookUp(steps, values)}
  COMPREPLY=($(compgen -W "$offer" -- "$current"))
}
complete -o default -F _factory factory`;

const zsh = (steps: Step[], values: Step[]): string => `#compdef factory
_factory() {
  local previous="\${words[CURRENT-1]}" verb='' line
  line=("\${words[@]}")
  (( CURRENT > 2 )) && verb="\${line[2]}"
  case "$verb" in
    ${groupPattern(steps)}) (( CURRENT > 3 )) && verb="$verb \${line[3]}" ;;
  esac
  local offer=''
${lookUp(steps, values)}
  compadd -- \${=offer} || _files
}
if [ "$funcstack[1]" = _factory ]; then _factory "$@"; else compdef _factory factory; fi`;

const fish = (steps: Step[], values: Step[]): string => `# fish completion of factory
function __factory_words
  set -l line (commandline -opc)
  set -e line[1]
  set -l verb "$line[1]"
  switch "$verb"
    case ${groupPattern(steps).split('|').join(' ')}
      if test (count $line) -gt 1
        set verb "$verb $line[2]"
      end
  end
  switch "$verb $line[-1]"
${values.map(fishCase).join('\n')}
    case '*'
      switch "$verb"
${steps.map(fishCase).join('\n')}
      end
  end
end
complete -c factory -f -a '(__factory_words)'`;

const fishCase = ({ after, words }: Step): string =>
  `    case '${after}'\n      printf '%s\\n' ${words.join(' ')}`;
