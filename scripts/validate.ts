import { join, relative } from 'node:path';
import { BUILT_IN_PACKS } from '../service/work-items/packs.ts';
import type { QueueProblem } from '../service/work-items/types.ts';
import { validateQueue } from '../service/work-items/validate.ts';
import { plain } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Run } from './lib/verb.ts';

export const validate: Run = async (context) => {
  const { workItemsDir } = readConfig(context);
  const problems = validateQueue(workItemsDir, BUILT_IN_PACKS);
  const errors = problems.filter(({ severity }) => severity !== 'warn').length;
  const shown = relative(context.cwd, workItemsDir) || '.';
  const lines = problems.flatMap((problem) => problemLines(problem, shown));
  return {
    json: { dir: workItemsDir, problems },
    text: [...lines, summary(errors, problems.length - errors, shown)].join('\n'),
    exit: errors > 0 ? EXIT.failed : EXIT.done,
  };
};

/** `file:line: what`, as editors and terminals make links of it, then the way out. */
function problemLines({ file, line, code, message, hint, severity }: QueueProblem, dir: string): string[] {
  const kind = severity === 'warn' ? 'warning' : 'error';
  return [`${join(dir, file)}:${line}: ${kind}: ${plain(message)} (${code})`, `    ${plain(hint)}`];
}

function summary(errors: number, warnings: number, dir: string): string {
  const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`;
  if (errors + warnings === 0) return `${dir}: no problems.`;
  return `${dir}: ${count(errors, 'error')}, ${count(warnings, 'warning')}.`;
}
