import { readFileSync } from 'node:fs';
import { Command, CommanderError, Argument, InvalidArgumentError, Option } from 'commander';
import { cloudKeys, loadConfig } from '../../service/config-load.ts';
import { asFactoryError } from '../../service/errors.ts';
import type { FactoryError } from '../../service/errors.ts';
import { typedIn } from './command.ts';
import { exitOf, failureJson, failureText, usage } from './failure.ts';
import { helpDocument } from './help.ts';
import { strangeOption } from './options.ts';
import { createProgress } from './progress.ts';
import { releaseName } from './settings.ts';
import { EXIT } from './verb.ts';
import type { ExitCode, Given, Surroundings, Verb, VerbOption } from './verb.ts';
import { GROUPS, VERBS } from './verbs.ts';

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 degraded, 4 refused by a safety rule.
The answer is on stdout, everything else on stderr. With --json the answer is one JSON document.`;

/** What these answer was written by others, and stays as they wrote it. */
const OF_OTHERS = /^(items|sessions|queue|audit) /;

type Start = (verb: Verb, given: Given) => Promise<void>;

/** Runs the command line `argv` (without `node` and the file) and tells the exit code; nothing is thrown. */
export async function runFactory(argv: string[], around: Surroundings): Promise<ExitCode> {
  const json = argv.includes('--json');
  let exit: ExitCode = EXIT.done;
  const program = createProgram(around, async (verb, given) => {
    exit = await runVerb(verb, given, around, json);
  });
  const typed = asTyped(argv);
  if (json && typed.some((word) => word === '--help' || word === '-h')) {
    around.stdout.write(`${JSON.stringify(helpDocument(VERBS, verbIn(typed)))}\n`);
    return EXIT.done;
  }
  try {
    await program.parseAsync(typed, { from: 'user' });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done;
    const verb = verbIn(argv);
    const mistake = error instanceof CommanderError ? usageError(error, argv, program) : error;
    return report(mistake, verb, around, json);
  }
}

async function runVerb(
  verb: Verb,
  given: Given,
  surroundings: Surroundings,
  json: boolean,
): Promise<ExitCode> {
  const { cwd, env } = surroundings;
  const around = { ...surroundings, env: { ...cloudKeys(cwd, env), ...env } };
  const progress = createProgress(around.stderr);
  const say = (text: string): void => {
    progress('');
    around.stderr.write(`${typedIn(around.cwd, text)}\n`);
  };
  try {
    const run = await verb.load();
    const answer = await run({ ...around, verbs: VERBS, json, say, progress }, given);
    progress('');
    if (answer === null) return EXIT.done;
    const text = OF_OTHERS.test(verb.path) ? answer.text : typedIn(around.cwd, answer.text);
    if (!answer.printed) around.stdout.write(`${json ? JSON.stringify(answer.json) : text}\n`);
    return (await answer.until) ?? answer.exit ?? EXIT.done;
  } catch (error) {
    progress('');
    return report(error, verb.path, around, json);
  }
}

function report(
  thrown: unknown,
  verb: string,
  { cwd, stdout, stderr }: Surroundings,
  json: boolean,
): ExitCode {
  const error = asFactoryError(thrown, verb || 'factory');
  const typed = (text: string): string => typedIn(cwd, text);
  stderr.write(`${typed(failureText(verb, error))}\n`);
  if (json) stdout.write(`${JSON.stringify(failureJson(error, typed))}\n`);
  return exitOf(error);
}

/** The whole command line as commander takes it; it loads no verb. */
function createProgram(around: Surroundings, start: Start): Command {
  const { stdout } = around;
  const program = new Command('factory')
    .description('Build Factory: a control plane for software work done by people and coding agents.')
    .option('-V, --version', 'tell the version and the release')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(typedIn(around.cwd, text)),
      writeErr: () => undefined,
    })
    .configureHelp({ subcommandTerm: termOf })
    .helpCommand(false)
    .addHelpText('after', EXIT_CODES);
  program.on('option:version', () => {
    stdout.write(`${versionText(around)}\n`);
    throw new CommanderError(EXIT.done, 'commander.version', '');
  });
  const groups = new Map<string, Command>();
  for (const verb of VERBS) {
    const words = verb.path.split(' ');
    const name = words.pop() ?? '';
    const [group] = words;
    const parent = group === undefined ? program : groupOf(group, program, groups);
    addVerb(parent.command(name), verb, start);
  }
  return program;
}

/** `items list|show|actions|act`, `completion <shell>`. */
function termOf(command: Command): string {
  const words = command.commands.map((one) => one.name()).join('|');
  const values = command.registeredArguments.map((argument) => `<${argument.name()}>`);
  return [command.name(), ...(words ? [words] : []), ...values].join(' ');
}

function groupOf(name: string, program: Command, groups: Map<string, Command>): Command {
  const known = groups.get(name);
  if (known) return known;
  const group = program
    .command(name)
    .description(GROUPS[name] ?? name)
    .helpCommand(false);
  groups.set(name, group);
  return group;
}

function addVerb(command: Command, verb: Verb, start: Start): void {
  command.description(verb.summary).option('--json', 'answer with one JSON document');
  for (const { name, description, choices, optional } of verb.arguments ?? []) {
    const argument = new Argument(optional ? `[${name}]` : `<${name}>`, description);
    command.addArgument(choices ? argument.choices(choices) : argument);
  }
  for (const option of verb.options ?? []) command.addOption(optionOf(option));
  if (verb.details) command.addHelpText('after', `\n${verb.details}`);
  command.action(() => start(verb, givenTo(command)));
}

function optionOf({ flags, description, required, list, choices, once }: VerbOption): Option {
  const option = new Option(flags, description).makeOptionMandatory(required ?? false);
  if (list === 'repeat') return option.argParser((value, before: string[] = []) => [...before, value]);
  if (list === 'comma') {
    const named = choices ? `${description}: ${choices.join(', ')}` : description;
    return new Option(flags, named)
      .makeOptionMandatory(required ?? false)
      .argParser((value: string, before: string[] = []) => [...before, ...splitList(value, choices)]);
  }
  if (choices) return option.choices(choices);
  return once ? option.argParser(single) : option;
}

function single(value: string, before: unknown): string {
  if (before === undefined) return value;
  throw new InvalidArgumentError('It was given twice, and one is taken.');
}

function splitList(value: string, choices: readonly string[] | undefined): string[] {
  const parts = value.split(',').map((part) => part.trim());
  const strange = choices && parts.find((part) => !choices.includes(part));
  if (strange === undefined) return parts;
  throw new InvalidArgumentError(`"${strange}" is none of ${choices?.join(', ')}.`);
}

function givenTo(command: Command): Given {
  const options = command.opts<Record<string, string | boolean | string[] | undefined>>();
  return {
    arguments: command.args,
    text: (name) => (typeof options[name] === 'string' ? options[name] : undefined),
    flag: (name) => options[name] === true,
    list: (name) => (Array.isArray(options[name]) ? options[name] : []),
  };
}

/** `help VERB` is `VERB --help`. A word that is no verb is a mistake, help asked for or not. */
function asTyped(argv: string[]): string[] {
  const typed = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  const [first, second] = typed.filter((word) => !word.startsWith('-'));
  const found = verbIn(typed);
  const known = first === undefined || (found !== '' && (second === undefined || !(found in GROUPS)));
  return known ? typed : typed.filter((word) => word !== '--help' && word !== '-h');
}

/** `0.1.0 (release development)`; the release as pages, `health` and `doctor` name it. */
function versionText({ cwd, env }: Surroundings): string {
  const loaded = loadConfig(cwd, env);
  return 'config' in loaded ? `${version()} (release ${releaseName(loaded.config.release)})` : version();
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version;
}

/** The verb or group that the words begin with; empty where the first word is neither. */
export function verbIn(argv: string[]): string {
  const [first = '', second = ''] = argv.filter((word) => !word.startsWith('-'));
  const whole = `${first} ${second}`;
  if (VERBS.some(({ path }) => path === whole)) return whole;
  return first in GROUPS || VERBS.some(({ path }) => path === first) ? first : '';
}

const OF_OPTIONS = new Set(['commander.unknownOption', 'commander.missingMandatoryOptionValue']);

/** Commander's words as ours: a sentence, and the nearest name where one is near. */
function usageError(error: CommanderError, argv: string[], program: Command): FactoryError {
  const verb = verbIn(argv);
  const known = VERBS.find(({ path }) => path === verb);
  // A slip in an option's name is why a needed one is missing.
  const strange = OF_OPTIONS.has(error.code) && known ? strangeOption(argv, known) : null;
  if (strange) {
    const near = strange.nearest === null ? '' : ` Did you mean ${strange.nearest}?`;
    return usage(verb, `Unknown option '${strange.typed}'.${near}`);
  }
  const [said = '', nearest] = error.message.replace(/^error: /, '').split(/\s*\(Did you mean |\?\)$/);
  const missing = error.code === 'commander.help';
  const message = missing ? `Name a verb: ${verbsOf(verb, program)}.` : sentence(said);
  return usage(verb, nearest ? `${message} Did you mean ${nearest}?` : message);
}

function verbsOf(group: string, program: Command): string {
  const command = program.commands.find((one) => one.name() === group) ?? program;
  return command.commands.map((one) => one.name()).join(', ');
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(first) ? first : `${first}.`;
}
