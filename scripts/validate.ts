import { globSync } from 'node:fs';
import { join, relative } from 'node:path';
import { BUILT_IN_PACKS } from '../service/work-items/packs.ts';
import { LANES } from '../service/work-items/types.ts';
import type { QueueProblem } from '../service/work-items/types.ts';
import { validateQueue } from '../service/work-items/validate.ts';
import { factoryCommand, typedIn } from './lib/command.ts';
import { plain } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Run } from './lib/verb.ts';

export const validate: Run = async (context) => {
  const { workItemsDir } = readConfig(context);
  const problems = validateQueue(workItemsDir, BUILT_IN_PACKS).map((problem) => ({
    ...problem,
    hint: typedIn(context.cwd, problem.hint),
  }));
  const errors = problems.filter(({ severity }) => severity !== 'warn').length;
  const shown = relative(context.cwd, workItemsDir) || '.';
  const lines = problems.flatMap((problem) => problemLines(problem, shown));
  return {
    json: { dir: workItemsDir, problems },
    text: [
      ...lines,
      summary(errors, problems.length - errors, shown),
      ...(errors === 0 ? emptiness(workItemsDir, context.cwd) : []),
    ].join('\n'),
    exit: errors > 0 ? EXIT.failed : EXIT.done,
  };
};

/** `file:line: what`, as editors and terminals make links of it, then the way out. */
function problemLines({ file, line, code, message, hint, severity }: QueueProblem, dir: string): string[] {
  const kind = severity === 'warn' ? 'warning' : 'error';
  return [`${join(dir, file)}:${line}: ${kind}: ${plain(message)} (${code})`, `    ${plain(hint)}`];
}

/** A folder without a record is no problem, but hardly what somebody wanted to check. */
function emptiness(dir: string, cwd: string): string[] {
  if (globSync(`{${LANES.join(',')}}/*.md`, { cwd: dir }).length > 0) return [];
  return [`It holds no records: \`${factoryCommand(cwd)} init\` adds what is missing, and a first item.`];
}

function summary(errors: number, warnings: number, dir: string): string {
  const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  if (errors + warnings === 0) return `${dir}: no problems.`;
  return `${dir}: ${count(errors, 'error')}, ${count(warnings, 'warning')}.`;
}
