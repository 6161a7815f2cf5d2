import { completionScript } from './lib/completion.ts';
import type { Run, Shell } from './lib/verb.ts';

export const completion: Run = async ({ verbs }, given) => {
  const shell = given.arguments[0] as Shell;
  const script = completionScript(shell, verbs);
  return { json: { shell, script }, text: script };
};
