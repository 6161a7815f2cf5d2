import { labelOf } from '../actions.ts';
import type { ActionIdentity, Facts } from '../types.ts';
import { unreadProblem } from '../unread.ts';
import {
  afterChange,
  awaited,
  blocked,
  byAction,
  byUrl,
  fact,
  pass,
  retry,
  unknown,
  type Gate,
} from './result.ts';
import { shortSha } from './words.ts';

const READ = 'factory.work-item.read';

/** Passes where the caller may read the item and its prompt resolves. */
export const contextVisibility: Gate = (facts, action, _policy, principal) => {
  const present = Boolean(facts.queue?.prompt);
  const readable = principal.permissions.has(READ);
  const shown = [promptFact(facts, 'present', present), fact('principal', `permissions.${READ}`, readable)];
  const path = promptPath(facts);
  if (present && readable)
    return pass('context-visibility', `Prompt ${path} is visible to you.`, { facts: shown });
  const missing = [
    ...(present ? [] : [awaited('prompt', 'present', true)]),
    ...(readable ? [] : [awaited('principal', `permissions.${READ}`, true)]),
  ];
  return blocked('context-visibility', {
    code: present ? 'prompt-hidden' : 'prompt-missing',
    cause: `Prompt ${path} is missing or hidden from you.`,
    policyContext: 'History keeps only context that the recorder may see.',
    nextStep: `Restore ${path}, or ask an owner for access to it.`,
    safeRetry: afterChange(retry(facts, action, `once ${path} exists and you may read it`), ...missing),
    params: { path },
    facts: shown,
    unblock: [
      ...(present ? [] : [byAction('refresh-truth')]),
      ...(readable ? [] : [byUrl('/people', 'factory.people.manage')]),
    ],
  });
};

/** Passes where the prompt exists, is not empty, and is still the one that was pinned when the handoff was queued. */
export const promptContext: Gate = (facts, action) => {
  const prompt = facts.queue?.prompt ?? null;
  const path = promptPath(facts);
  if (facts.queue === null)
    return promptObstacle(facts, action, 'prompt-unread', `Prompt ${path} was never read.`);
  const unread = prompt ? null : unreadProblem(facts.queue, 'prompt');
  if (unread) return promptObstacle(facts, action, 'prompt-unread', `${unread.message} ${unread.hint}`);
  if (prompt === null) return promptObstacle(facts, action, 'prompt-missing', `Prompt ${path} is missing.`);
  if (prompt.empty) return promptObstacle(facts, action, 'prompt-empty', `Prompt ${path} is empty.`);
  const pinned = pinnedRevision(facts, action);
  if (pinned !== null && pinned !== prompt.revision) return promptChanged(facts, action, pinned);
  const shown = { facts: [promptFact(facts, 'revision', prompt.revision)] };
  return pass('prompt-context', `Prompt ${path} is present at ${shortSha(prompt.revision)}.`, shown);
};

/** Only a claim takes a pinned prompt; starting pins the current one. */
function pinnedRevision(facts: Facts, action: ActionIdentity): string | null {
  const { handoff } = facts.item;
  return action === 'claim' && handoff?.state === 'queued' ? handoff.promptRevision : null;
}

function promptObstacle(facts: Facts, action: ActionIdentity, code: string, cause: string) {
  const path = promptPath(facts);
  const pinned = pinnedRevision(facts, action);
  return (code === 'prompt-unread' ? unknown : blocked)('prompt-context', {
    code,
    cause,
    policyContext: 'Executors get a pinned prompt.',
    nextStep:
      code === 'prompt-unread' ? 'Read the queue with Refresh truth.' : `Write the prompt to ${path}.`,
    safeRetry: afterChange(
      retry(facts, action, `once ${path} holds the prompt`),
      awaited('prompt', 'present', true),
      awaited('prompt', 'empty', false),
      ...(pinned === null ? [] : [awaited('prompt', 'revision', pinned)]),
    ),
    params: { path },
    facts: [promptFact(facts, 'present', code === 'prompt-empty')],
    unblock: [byAction('refresh-truth')],
  });
}

function promptChanged(facts: Facts, action: ActionIdentity, pinned: string) {
  const path = promptPath(facts);
  const replan = facts.item.lane === 'ready' ? 'start-execution' : 'release-handoff';
  return blocked('prompt-context', {
    code: 'prompt-changed',
    cause: `Prompt ${path} changed since ${shortSha(pinned)}.`,
    policyContext: 'Executors get a pinned prompt.',
    nextStep: `Plan again with the changed prompt by ${labelOf(replan)}, or restore the prompt.`,
    safeRetry: afterChange(
      retry(facts, action, 'once the handoff and the prompt agree'),
      awaited('prompt', 'revision', pinned),
    ),
    params: { path, pinned },
    facts: [promptFact(facts, 'revision', facts.queue?.prompt?.revision ?? null)],
    unblock: [byAction(replan)],
  });
}

/** The prompt's path inside the work-items folder, also where the file is missing. */
export function promptPath(facts: Pick<Facts, 'item' | 'queue'>): string {
  return facts.queue?.prompt?.path ?? `prompts/${facts.item.id}.prompt.md`;
}

function promptFact(facts: Facts, path: string, value: unknown) {
  return fact('prompt', path, value, facts.queue?.observedAt ?? null, facts.queue?.prompt?.revision ?? null);
}
