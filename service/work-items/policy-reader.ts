import type { Logger } from '../logger.ts';
import { BUILT_IN_PACKS } from './packs.ts';
import { parsePolicy } from './policy.ts';
import type { Queue } from './source.ts';
import type { Policy, QueueProblem } from './types.ts';

/** How often the file may be looked at; a change counts within this time. */
const CHECK_MS = 1000;

/** The project's policy as the queue folder has it now. A broken file leaves the last good policy in force. */
export function createPolicyReader(queue: Queue, logger: Logger) {
  let text: string | null | undefined;
  let policy: Policy | null = null;
  let problems: QueueProblem[] = [];
  let checkedAt = Number.NEGATIVE_INFINITY;

  function read(): Policy {
    const now = performance.now();
    if (policy && now - checkedAt < CHECK_MS) return policy;
    checkedAt = now;
    const found = queue.readPolicy();
    if (policy && found.text === text && found.problems.length === 0) return policy;
    const parsed = parsePolicy(found.text, BUILT_IN_PACKS);
    problems = [...found.problems, ...parsed.problems];
    text = found.text;
    for (const { message, line } of problems) logger.warn({ line }, `work-items/policy.yaml: ${message}`);
    policy = problems.length === 0 || !policy ? parsed.policy : policy;
    return policy;
  }

  return { current: read, problems: (): QueueProblem[] => (read(), problems) };
}
