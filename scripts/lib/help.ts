import type { Verb, VerbOption } from './verb.ts';

export interface HelpDocument {
  verbs: {
    path: string;
    summary: string;
    details: string | null;
    arguments: { name: string; description: string; required: boolean; choices: readonly string[] | null }[];
    options: {
      flags: string;
      description: string;
      required: boolean;
      repeatable: boolean;
      choices: readonly string[] | null;
    }[];
  }[];
}

const JSON_OPTION: VerbOption = { flags: '--json', description: 'answer with one JSON document' };

/** What `--help --json` answers: the verb, those of a group, or all for ''. */
export function helpDocument(verbs: readonly Verb[], named: string): HelpDocument {
  const asked = verbs.filter(({ path }) => named === '' || path === named || path.startsWith(`${named} `));
  return {
    verbs: asked.map(({ path, summary, details, arguments: given = [], options = [] }) => ({
      path,
      summary,
      details: details ?? null,
      arguments: given.map(({ name, description, optional, choices }) => ({
        ...{ name, description, required: !optional, choices: choices ?? null },
      })),
      options: [...options, JSON_OPTION].map(({ flags, description, required, list, choices }) => ({
        ...{ flags, description, required: required ?? false, repeatable: list !== undefined },
        choices: choices ?? null,
      })),
    })),
  };
}
