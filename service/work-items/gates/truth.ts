import { authorityFor, DRIFT_RULES } from '../drift.ts';
import { remedyOf } from '../remedies.ts';
import type { ActionIdentity, Drift, Facts, GateFact, GateResult, QueueProblem } from '../types.ts';
import { unreadProblem } from '../unread.ts';
import { afterChange, awaited, blocked, byAction, fact, pass, retry, unknown, type Gate } from './result.ts';
import { upperFirst } from './words.ts';

/** A source can be read again at once; a second keeps callers from spinning. */
const REFRESH_SECONDS = 1;

/** Sources beside the queue that a mover reads, where they are connected. */
const SOURCES: Partial<Record<ActionIdentity, readonly string[]>> = {
  'start-execution': ['prompt'],
  claim: ['prompt', 'lease'],
  'request-review': ['pull request', 'checks', 'lease'],
  complete: ['pull request', 'checks'],
};

/** Passes where every connected source that the action reads is Fresh or Aging. */
export const truthFresh: Gate = (facts, action) => {
  const reads = ['queue', ...(SOURCES[action] ?? [])];
  const sources = facts.truth.sources.filter(({ source }) => reads.includes(source));
  const old = sources.filter(
    ({ freshness }) => freshness.verdict === 'Stale' || freshness.verdict === 'Unknown',
  );
  const shown = sources.map(({ source, freshness }) => fact(source, 'freshness.verdict', freshness.verdict));
  if (old.length === 0)
    return pass('truth-fresh', 'Every source that this action reads is current.', { facts: shown });
  const problems = unreadNow(facts, old);
  const neverRead = old.some(({ freshness }) => freshness.verdict === 'Unknown');
  const ages = old.map(({ source, freshness }) => ageText(source, freshness.ageSeconds));
  const safeRetry = afterChange(
    retry(facts, action, 'after a refresh'),
    ...old.map(({ source }) => awaited(source, 'freshness.verdict', 'Fresh', 'Aging')),
  );
  return (neverRead ? unknown : blocked)('truth-fresh', {
    code: problems.length > 0 ? 'source-unreadable' : neverRead ? 'source-never-read' : 'source-stale',
    cause: [...problems.map(({ message }) => message), ...ages].join(' '),
    policyContext: 'Lane changes need current truth.',
    nextStep: [...problems.map(({ hint }) => hint), 'Read the sources again with Refresh truth.'].join(' '),
    safeRetry: { ...safeRetry, afterSeconds: REFRESH_SECONDS },
    params: { sources: old.map(({ source }) => source) },
    facts: shown,
    unblock: [byAction('refresh-truth')],
  });
};

function ageText(source: string, ageSeconds: number | null): string {
  const name = upperFirst(source);
  return ageSeconds === null ? `${name} was never read.` : `${name} was last read ${ageSeconds}s ago.`;
}

/** What keeps the queue's files from being read, each once. */
function unreadNow({ queue }: Facts, old: { source: string }[]): QueueProblem[] {
  const problems = (['queue', 'prompt'] as const).flatMap((source) => {
    const found = queue && old.some((one) => one.source === source) ? unreadProblem(queue, source) : null;
    return found ? [found] : [];
  });
  return [...new Set(problems)];
}

/**
 * Fields that each action relies on. A merged pull request of an open item (`pr`) does not stop the movers: reviewing
 * and completing the item is what resolves it.
 */
const FIELDS: Partial<Record<ActionIdentity, readonly string[]>> = {
  'start-execution': ['id', 'status', 'collection', 'handoff', 'lease'],
  'request-review': ['id', 'status', 'collection', 'handoff', 'lease'],
  complete: ['id', 'status', 'collection', 'handoff'],
  'prepare-release': ['id', 'status', 'collection', 'pr'],
};

/** Passes without open error-severity drift on the fields that the action relies on. */
export const driftFree: Gate = (facts, action, policy) => {
  const fields = FIELDS[action] ?? [];
  const open = facts.truth.drift.filter(
    ({ severity, field }) => severity === 'error' && fields.includes(field),
  );
  const shown = [
    fact(
      'drift',
      'open',
      open.map(({ code }) => code),
    ),
  ];
  const unknowns = notComputed(facts, fields);
  if (open.length === 0 && unknowns.length > 0) return driftUnknown(facts, action, unknowns, shown);
  if (open.length === 0) return pass('drift-free', NO_DRIFT, { facts: shown });
  const remedies = open.map(({ code }) => remedyOf(code, facts.item, facts));
  return blocked('drift-free', {
    code: 'drift-open',
    cause: open.map(disagreement).join(' '),
    policyContext: [...new Set(open.map(({ field }) => field))]
      .map((field) => `Authority for ${field} is ${authorityFor(field, policy)}.`)
      .join(' '),
    nextStep: remedies.map(({ text }) => text).join(' '),
    safeRetry: afterChange(
      retry(facts, action, 'once the drift is resolved'),
      ...open.map(({ code }) => awaited('drift', `open.${code}`, false)),
      ...unknowns.map(({ code }) => awaited('drift', `computed.${code}`, true)),
    ),
    params: { codes: open.map(({ code }) => code) },
    facts: shown,
    unblock: [...new Set(remedies.map((remedy) => remedy.action))].map(byAction),
  });
};

const NO_DRIFT = 'No drift is open on the fields that this action uses.';
/** Why codes are not computed while the item's own queue write is on its way, for some milliseconds. */
const WRITE_PENDING = 'queue write pending';

type NotComputed = Facts['truth']['notComputed'];

/** Codes that the action goes by and that could not be computed although their sources are connected. */
function notComputed({ truth }: Facts, fields: readonly string[]): NotComputed {
  return truth.notComputed.filter(({ code, reason }) => {
    const connected = !reason.endsWith('not connected');
    return connected && DRIFT_RULES[code].fields?.some((field) => fields.includes(field));
  });
}

/** Drift that could not be computed is not absent: it blocks as unknown, and warns while the record is being moved. */
function driftUnknown(
  facts: Facts,
  action: ActionIdentity,
  unknowns: NotComputed,
  shown: GateFact[],
): GateResult {
  const problem = facts.queue?.problems.find(({ file }) => !facts.queue?.duplicates.includes(file));
  const unread = facts.queue && unreadProblem(facts.queue, 'queue');
  const where = problem && !unread ? `${problem.file}:${problem.line}: ` : '';
  const repair = problem ? `${where}${problem.message} ${problem.hint} ` : '';
  const pending = unknowns.every(({ reason }) => reason === WRITE_PENDING);
  const result = unknown('drift-free', {
    code: pending ? 'drift-pending' : 'drift-unknown',
    cause: `${unknowns.map(({ code }) => code).join(', ')} cannot be computed now: ${unknowns[0]?.reason}.`,
    policyContext: 'Drift that is unknown counts as open.',
    nextStep: pending
      ? 'The record follows the last action within moments; read it again with Refresh truth.'
      : `${repair}Read it again with Refresh truth.`,
    safeRetry: afterChange(
      retry(facts, action, 'once drift can be computed'),
      ...unknowns.map(({ code }) => awaited('drift', `computed.${code}`, true)),
    ),
    params: { codes: unknowns.map(({ code }) => code) },
    facts: shown,
    unblock: [byAction('refresh-truth')],
  });
  return pending ? { ...result, verdict: 'warn' } : result;
}

function disagreement({ code, left, right }: Drift): string {
  return `${code}: ${left.source} says ${left.value}, ${right.source} says ${right.value}.`;
}
