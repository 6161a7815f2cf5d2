import { existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder } from '../folders.ts';
import { FactoryError } from '../errors.ts';
import { FOLDERS, POLICY_FILE, PROMPTS } from './queue-files.ts';
import { isItemId } from './record-text.ts';
import { renderPrompt, renderRecord } from './record-write.ts';
import { LANES } from './types.ts';
import type { RecordFields } from './types.ts';

/** A policy that says, in comments, what the defaults are. */
const POLICY = `# The policy of this queue. What is written are the defaults; what is commented out shows what else can be said.

# Which gates an action has: baseline, strict, or a pack of your own under "packs".
gatePack: baseline

# With solo, one person may give both parts of what takes two, after "soloWait"; with team it takes two people.
# Absent: solo while there is one person, team from the second on.
# preset: team
# soloWait: 5m

# How many handoffs run at once, and how often one item is attempted.
limits: { handoffs: 3 }

# How old a source may be before it counts as aging. Units: s, m, h, d.
freshness: { queue: 60s }
# freshness: { queue: 60s, prompt: 60s, pull request: 120s, checks: 120s, lease: 5s }

# Which source is right where two disagree on a field. For what shows the lane (status, collection, record, handoff) it
# is always the control plane: lanes change by actions alone.
# authorities: { branch: pull request, prompt: queue }

# Times in which nothing is completed or released; the gate "window" looks at them.
# freezes:
#   - { name: Year end, from: 2026-12-24, until: 2027-01-02 }

# Gates that nobody can override.
# hard: [validation-evidence]

# Gate packs of your own: what an action names here replaces that action of the pack it extends.
# packs:
#   careful:
#     extends: baseline
#     actions:
#       complete: { block: [pull-request, criteria-met], warn: [independent-review] }
`;

/** The item that every new queue begins with. */
export const FIRST_ID = 'wi-START-1';

const FIRST: RecordFields = {
  id: FIRST_ID,
  title: 'Take this item from backlog to done',
  summary:
    'A first item to try the control plane with. Mark it ready, start its execution, claim it, ask for a review and ' +
    'complete it; each step says what it needs and what comes next.',
  status: 'backlog',
  workType: 'documentation',
  branch: null,
  validation: null,
  pr: null,
  criteria: [
    'The item has been in every lane from backlog to review.',
    'Its history shows who moved it and when.',
  ],
  blockedBy: [],
  supersedes: null,
};

const FIRST_PROMPT = `This item exists to be moved, not to change any code.

Open its page and press "Mark ready". The page then offers "Start execution", which queues a handoff; claim it yourself
or let an executor claim it. Ask for a review, attest what the criteria ask for, and complete the item.

Where an action is blocked, its recovery guidance says what is missing, who can provide it and when to try again. When
you are done, write your own item: a record in \`work-items/backlog/\` and a prompt in \`work-items/prompts/\`.
`;

/**
 * Makes a work-items folder with a commented policy, its collections and, where the queue holds no record yet and unless
 * told otherwise, a first item with its prompt as an example. Touches nothing that exists.
 * @returns the paths that were made, relative to `dir`; none where everything was there
 * @throws FactoryError `queue-init-failed`
 */
export function initQueue(dir: string, { example = true } = {}): { created: string[] } {
  const created: string[] = [];
  try {
    for (const folder of FOLDERS) {
      if (!existsSync(join(dir, folder))) add(dir, `${folder}/.gitkeep`, '', created);
    }
    add(dir, POLICY_FILE, POLICY, created);
    if (example && !hasRecords(dir)) {
      add(dir, `${PROMPTS}/${FIRST.id}.prompt.md`, renderPrompt(FIRST_PROMPT), created);
      add(dir, `backlog/${FIRST.id}.md`, renderRecord(FIRST), created);
    }
    return { created };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new FactoryError({
      code: 'queue-init-failed',
      op: 'init work items',
      target: dir,
      message: `The work-items folder could not be made (${code}).`,
      hint: 'Look whether a file stands where a folder belongs, and whether the folder may be written.',
      cause: error,
    });
  }
}

/** Writes a file unless something has its name, a broken link included. */
function add(dir: string, path: string, text: string, created: string[]): void {
  const full = join(dir, path);
  if (lstatSync(full, { throwIfNoEntry: false })) return;
  makeFolder(dirname(full));
  writeFileSync(full, text, { flag: 'wx' });
  created.push(path);
}

function hasRecords(dir: string): boolean {
  return LANES.some((lane) =>
    readdirSync(join(dir, lane)).some((name) => isItemId(name.replace(/\.md$/, ''))),
  );
}
