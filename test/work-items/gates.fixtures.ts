import { GATES } from '../../service/work-items/gates/evaluate.ts';
import { evolve } from '../../service/work-items/projection.ts';
import { truthReport } from '../../service/work-items/truth.ts';
import type {
  ActionIdentity,
  Actor,
  AwaitedFact,
  Evidence,
  Facts,
  ForgeFacts,
  GateIdentity,
  GateResult,
  Handoff,
  Lane,
  Policy,
  Principal,
  QueueObservation,
  RecordFields,
  WorkItem,
} from '../../service/work-items/types.ts';

export const NOW = '2026-03-01T12:00:00.000Z';
export const EARLIER = '2026-03-01T11:00:00.000Z';
/** When handoffs were queued. */
export const BEFORE = '2026-03-01T10:00:00.000Z';
export const HEAD = 'a'.repeat(40);
export const PR = 'https://forge.example/org/repo/pull/122';

export function policyOf(gatePack: string, fields: Partial<Policy> = {}): Policy {
  return {
    gatePack,
    packs: {},
    preset: null,
    limits: { handoffs: 3, attempts: 2 },
    freshness: { queue: 60, prompt: 60, 'pull request': 120, checks: 120, lease: 5 },
    authorities: {},
    soloWaitSeconds: 600,
    freezes: [],
    hard: [],
    ...fields,
  };
}

export const PEOPLE = [
  { id: 'p-ann', name: 'Ann', roles: ['owner'] },
  { id: 'p-ben', name: 'Ben', roles: ['reviewer'] },
  { id: 'p-cy', name: 'Cy', roles: ['planner'] },
];

/** Of everybody who ever was, as the service finds them: Eve has left. */
export const NAMES = {
  ...Object.fromEntries(PEOPLE.map(({ id, name }) => [id, name])),
  'p-eve': 'Eve',
  't-agent': 'bot (token of Cy)',
};

export function person(id: string, ...roles: string[]): Principal {
  const name = PEOPLE.find((one) => one.id === id)?.name ?? id;
  return { kind: 'person', id, name, personId: id, roles, permissions: new Set(['factory.work-item.read']) };
}

export function token(id: string, owner: string, role: string): Principal {
  return { ...person(owner, role), kind: 'token', id, name: id };
}

export const ANN = person('p-ann', 'owner');
export const BEN = person('p-ben', 'reviewer');
export const CY = person('p-cy', 'planner');
export const AGENT = token('t-agent', 'p-cy', 'agent');
export const PIPELINE = token('t-ci', 'p-cy', 'ci');

export function actor({ kind, id, personId, roles }: Principal): Actor {
  return { kind, id, personId, roles };
}

export function recordOf(fields: Partial<RecordFields> = {}): RecordFields {
  return {
    id: 'wi-BF-1',
    title: 'A title',
    summary: 'A summary.',
    status: 'ready',
    workType: 'implementation',
    branch: 'bf/BF-1',
    validation: './scripts/validate-local.sh',
    pr: null,
    criteria: ['It works.', 'It is documented.'],
    blockedBy: [],
    supersedes: null,
    ...fields,
  };
}

export function itemOf(
  lane: Lane,
  fields: Partial<WorkItem> = {},
  record: Partial<RecordFields> = {},
): WorkItem {
  const content = recordOf({ status: lane, ...record });
  const path = `${lane}/${content.id}.md`;
  const imported = evolve(null, {
    seq: 1,
    projectId: 'main',
    version: 1,
    at: EARLIER,
    actor: { kind: 'system', id: 'system', personId: null, roles: [] },
    event: { type: 'imported', lane, record: { ...content, collection: lane, path, revision: 'record-1' } },
  });
  return { ...imported, ...fields };
}

export function handoffOf(state: Handoff['state'], fields: Partial<Handoff> = {}): Handoff {
  const queued = state === 'queued';
  return {
    id: 'h-1',
    state,
    queuedBy: actor(CY),
    queuedAt: BEFORE,
    holder: queued ? null : actor(AGENT),
    claimedAt: queued ? null : EARLIER,
    endedAt: null,
    promptRevision: 'prompt-1',
    adopted: false,
    fence: queued ? 0 : 1,
    evidenceFrom: 0,
    ...fields,
  };
}

export function evidenceOf(kind: Evidence['kind'], fields: Partial<Evidence> = {}): Evidence {
  return {
    id: 'e-1',
    kind,
    criterion: null,
    criterionText: null,
    commit: HEAD,
    result: 'passed',
    scriptDigest: null,
    url: null,
    note: null,
    producer: actor(BEN),
    trust: 'person',
    at: EARLIER,
    ...fields,
  };
}

export function criterionEvidence(item: WorkItem, index: number, fields: Partial<Evidence> = {}): Evidence {
  return evidenceOf('criterion', {
    criterion: index,
    criterionText: item.record.criteria[index] ?? null,
    ...fields,
  });
}

export function queueOf(item: WorkItem, fields: Partial<QueueObservation> = {}): QueueObservation {
  const { collection: _collection, path, revision, ...content } = item.record;
  return {
    observedAt: NOW,
    record: { fields: { ...content, status: item.lane }, collection: item.lane, path, revision },
    prompt: { path: `prompts/${item.id}.prompt.md`, revision: 'prompt-1', excerpt: 'Do it.', empty: false },
    problems: [],
    duplicates: [],
    ...fields,
  };
}

export const MERGED = {
  number: 122,
  state: 'merged',
  mergeable: false,
  headBranch: 'bf/BF-1',
  headCommit: HEAD,
} as const;

export function forgeOf(fields: Partial<ForgeFacts> = {}): ForgeFacts {
  return {
    observedAt: NOW,
    branchHead: HEAD,
    pullRequest: { number: 122, state: 'open', mergeable: true, headBranch: 'bf/BF-1', headCommit: HEAD },
    checks: [],
    scriptDigest: { defaultBranch: 'd-1', branch: 'd-1' },
    ...fields,
  };
}

/** Facts whose truth is computed from their own observations. */
export function factsOf(item: WorkItem, fields: Partial<Facts> = {}): Facts {
  const queue = fields.queue === undefined ? queueOf(item) : fields.queue;
  const forge = fields.forge ?? null;
  const queueWritePending = fields.queueWritePending ?? false;
  return {
    item,
    queue,
    queueWritePending,
    queueFailure: null,
    queueWrites: true,
    forge,
    dependencies: [],
    runningHandoffs: 0,
    truth: truthReport(item, queue, forge, policyOf('baseline'), NOW, { queueWritePending }),
    people: PEOPLE,
    names: NAMES,
    preset: 'team',
    ...fields,
  };
}

interface Setting {
  policy?: Policy;
  principal?: Principal;
  now?: string;
}

export function gate(
  name: GateIdentity,
  action: ActionIdentity,
  facts: Facts,
  setting: Setting = {},
): GateResult {
  const { policy = policyOf('strict'), principal = BEN, now = NOW } = setting;
  return GATES[name](facts, action, policy, principal, now);
}

/** Verdict, code and the four texts: what people and machines go by. */
export function told({ verdict, code, recovery }: GateResult) {
  if (!recovery) return [verdict, code];
  const { cause, policyContext, nextStep, safeRetry } = recovery;
  return [verdict, code, cause, policyContext, nextStep, safeRetry.text, safeRetry.mode];
}

export interface Situation {
  facts: Facts;
  policy: Policy;
  principal: Principal;
}

/** The situation in which an awaited fact holds with `value`. Throws for a fact that nobody can bring about. */
export function bringAbout({ source, path }: AwaitedFact, value: unknown, before: Situation): Situation {
  const after = structuredClone({ facts: before.facts, policy: before.policy });
  const { facts, policy } = after;
  const permissions = new Set(before.principal.permissions);
  const name = `${source} ${path}`;
  const { item } = facts;
  if (path === 'freshness.verdict') refresh(facts, source, value as 'Fresh');
  else if (name === 'item lane') item.lane = value as Lane;
  else if (name === 'item handoff.state')
    item.handoff = value === null ? null : handoffOf(value as Handoff['state']);
  else if (name === 'item record.pr.linked') item.record.pr = PR;
  else if (path.startsWith('record.blockedBy.')) unlink(facts, path.replace('record.blockedBy.', ''));
  else if (source === 'prompt') facts.queue = withPrompt(facts, path, value);
  else if (source === 'principal') permissions.add(path.replace('permissions.', ''));
  else if (source === 'evidence') item.evidence.push(awaitedEvidence(facts, path));
  else if (name === 'approvals independentOnHead') item.approvals.push(independentApproval(facts));
  else if (name === 'policy limits.attempts') policy.limits.attempts = value as number;
  else if (name === 'handoffs running') facts.runningHandoffs = value as number;
  else if (source === 'drift')
    facts.truth = {
      ...facts.truth,
      drift: facts.truth.drift.filter(({ code }) => path !== `open.${code}`),
      notComputed: facts.truth.notComputed.filter(({ code }) => path !== `computed.${code}`),
    };
  else if (path === 'lane')
    facts.dependencies.forEach((one) => one.id === source && (one.lane = value as Lane));
  else if (source === 'pull request') facts.forge = withForge(facts, path);
  else throw new Error(`No way to bring about ${name}.`);
  return { facts, policy, principal: { ...before.principal, permissions } };
}

function unlink(facts: Facts, id: string): void {
  const { record } = facts.item;
  record.blockedBy = record.blockedBy.filter((one) => one !== id);
  facts.dependencies = facts.dependencies.filter((one) => one.id !== id);
}

function withPrompt(facts: Facts, path: string, value: unknown): QueueObservation {
  const queue = facts.queue ?? queueOf(facts.item);
  const prompt = queue.prompt ?? queueOf(facts.item).prompt;
  if (!prompt) throw new Error('no prompt to change');
  return { ...queue, prompt: path === 'present' ? prompt : { ...prompt, [path]: value } };
}

function headOnForge({ pullRequest, branchHead }: ForgeFacts): string | null {
  if (pullRequest?.state === 'merged') return pullRequest.headCommit;
  return branchHead ?? pullRequest?.headCommit ?? null;
}

/** New evidence on the head commit; without a forge it names one where none is known. */
function awaitedEvidence(facts: Facts, path: string): Evidence {
  const commit = facts.forge ? headOnForge(facts.forge) : (namedHead(facts) ?? HEAD);
  if (path === 'commit.known') return evidenceOf('validation', { commit });
  if (path === 'attestation.passedOnHead') return evidenceOf('attestation', { commit });
  if (path === 'validation.passedOnHead')
    return evidenceOf('validation', { commit, trust: 'ci', producer: actor(PIPELINE) });
  const number = /^criteria\.(\d+)\.passedOnHead$/.exec(path)?.[1];
  if (number === undefined) throw new Error(`No such evidence: ${path}.`);
  return criterionEvidence(facts.item, Number(number) - 1, { commit });
}

function namedHead({ item }: Facts): string | null {
  const round = item.evidence.slice((item.handoff ?? item.pastHandoffs.at(-1))?.evidenceFrom ?? 0);
  return round.findLast(({ commit }) => commit !== null)?.commit ?? null;
}

function independentApproval(facts: Facts): WorkItem['approvals'][number] {
  const commit = facts.forge ? headOnForge(facts.forge) : namedHead(facts);
  return {
    by: { kind: 'person', id: 'p-new', personId: 'p-new', roles: ['reviewer'] },
    commit,
    note: null,
    at: NOW,
  };
}

function refresh(facts: Facts, source: string, verdict: 'Fresh'): void {
  for (const one of facts.truth.sources)
    if (one.source === source) one.freshness = { verdict, ageSeconds: 0 };
}

function withForge(facts: Facts, path: string): ForgeFacts {
  const forge = facts.forge ?? forgeOf();
  if (path === 'head.known') return { ...forge, branchHead: HEAD };
  if (path === 'scriptDigest.unchanged')
    return { ...forge, scriptDigest: { defaultBranch: 'd-1', branch: 'd-1' } };
  if (path !== 'state') throw new Error(`No such fact of a forge: ${path}.`);
  const request = forge.pullRequest ?? forgeOf().pullRequest;
  return { ...forge, pullRequest: request && { ...request, state: 'merged' } };
}
