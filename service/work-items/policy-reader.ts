import type { Logger } from '../logger.ts';
import { BUILT_IN_PACKS } from './packs.ts';
import { parsePolicy } from './policy.ts';
import { UNKNOWN_POLICY, type PolicyMemory } from './policy-memory.ts';
import type { Queue } from './source.ts';
import type { Policy, QueueProblem } from './types.ts';

/** How often the file may be looked at; a change counts within this time. */
const CHECK_MS = 1000;

/**
 * The project's policy as the queue folder has it now. Where it cannot be told, the last good one stays in force: after
 * a restart the remembered one. Where none is known, the strictest pack holds, but for a new installation without a
 * folder, which has nothing to guard yet.
 */
export function createPolicyReader(queue: Queue, logger: Logger, memory: PolicyMemory) {
  let text: string | null | undefined;
  let policy: Policy | null = null;
  let problems: QueueProblem[] = [];
  let checkedAt = Number.NEGATIVE_INFINITY;
  let unkept = false;

  function read(): Policy {
    const now = performance.now();
    if (policy && now - checkedAt < CHECK_MS) return policy;
    checkedAt = now;
    const absence = queue.absence();
    const found = absence ? { text: null, problems: [absence] } : queue.readPolicy();
    if (policy && found.text === text && found.problems.length === 0) {
      if (unkept) keep();
      return policy;
    }
    text = found.problems.length === 0 ? found.text : undefined;
    const parsed = parsePolicy(found.text, BUILT_IN_PACKS);
    say([...found.problems, ...parsed.problems]);
    if (problems.length === 0) {
      policy = parsed.policy;
      keep();
    }
    return (policy ??= unread(absence, found.text));
  }

  function unread(absence: QueueProblem | null, malformed: string | null): Policy {
    const known = memory.known();
    if (!known && absence && absence.code !== 'queue-unreadable')
      return parsePolicy(null, BUILT_IN_PACKS).policy;
    const remembered = known !== null && known.text !== UNKNOWN_POLICY;
    return parsePolicy(remembered ? known.text : (malformed ?? UNKNOWN_POLICY), BUILT_IN_PACKS).policy;
  }

  /** What is new about it, once. */
  function say(found: QueueProblem[]): void {
    const told = new Set(problems.map(({ message }) => message));
    problems = found;
    for (const { file, message, line } of found) {
      if (told.has(message)) continue;
      if (file === '.') logger.warn(`${message} The policy is what it was.`);
      else logger.warn({ line }, `work-items/policy.yaml: ${message}`);
    }
  }

  function keep(): void {
    unkept = false;
    if (text === undefined || memory.isKept(text)) return;
    memory.keep(text).catch((error: unknown) => {
      unkept = true;
      logger.warn({ err: error }, 'the policy could not be remembered; it is tried again');
    });
  }

  return {
    current: read,
    problems: (): QueueProblem[] => (read(), problems),
    /** Those of the file itself: a folder that is gone says nothing of it. */
    fileProblems: (): QueueProblem[] => (read(), problems.filter(({ file }) => file !== '.')),
    /** Whether a work-items folder was ever read into this database. */
    known: (): boolean => memory.known() !== null,
  };
}
