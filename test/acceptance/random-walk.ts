import { randomUUID } from 'node:crypto';
import { actionPath, itemPath } from '../process/client.ts';
import type { Answer } from '../process/client.ts';
import { IDENTITIES, LANES, laneAfter, mayAct, ROLES } from './lanes.ts';
import type { Identity, Lane, Role } from './lanes.ts';
import { auditFailures, inLab, lanesNow, queueOf, strayInTheEnd } from './lab.ts';
import type { Lab, Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * Random actions by random roles on random items, planned, applied, refused and badly asked. Each answer is held
 * against the written lane table and role table; in the end the log verifies, which replays every item's events.
 */

const ITEMS = 12;
const READERS: Role[] = ['owner', 'planner', 'reviewer', 'agent'];

interface Step {
  role: Role;
  id: string;
  identity: Identity;
  dryRun: boolean;
  body: unknown;
  headers: Record<string, string>;
}

interface Walk {
  lab: Lab;
  lanes: Map<string, Lane>;
  versions: Map<string, number>;
  failures: string[];
  /** By status code. */
  statuses: Map<number, number>;
}

export function randomWalk(run: Run): Promise<Outcome> {
  return inLab(run, queueOf(ITEMS, LANES), async (lab) => {
    const owner = lab.as('owner');
    const lanes = await lanesNow(owner, lab.ids);
    const walk: Walk = { lab, lanes, versions: new Map(), failures: [], statuses: new Map() };
    for (let n = 0; n < run.count && walk.failures.length < 10; n += 1) await takeStep(walk, run.random);
    const end = await lanesNow(owner, lab.ids);
    for (const [id, lane] of walk.lanes) {
      if (end.get(id) !== lane)
        walk.failures.push(`${id} ends in ${end.get(id)}, its answers led to ${lane}`);
    }
    walk.failures.push(...(await auditFailures(lab.place)), ...(await strayInTheEnd(lab.place, end)));
    return { failures: walk.failures, figures: figuresOf(walk, run.count) };
  });
}

function figuresOf({ statuses }: Walk, steps: number): Record<string, number> {
  const byStatus = [...statuses]
    .sort(([a], [b]) => a - b)
    .map(([status, count]) => [`status${status}`, count] as const);
  return { steps, ...Object.fromEntries(byStatus) };
}

async function takeStep(walk: Walk, random: Random): Promise<void> {
  const step = await drawStep(walk, random);
  const path = `${actionPath(step.id, step.identity)}${step.dryRun ? '?dryRun=true' : ''}`;
  const answer = await walk.lab.as(step.role).post(path, step.body, step.headers);
  walk.statuses.set(answer.status, (walk.statuses.get(answer.status) ?? 0) + 1);
  const wrong = judge(walk, step, answer);
  const told = `${step.role} ${step.identity} ${step.id}${step.dryRun ? ' (plan)' : ''} -> ${answer.status}`;
  walk.failures.push(
    ...wrong.map(
      (text) => `${told}: ${text}; sent ${JSON.stringify(step.body)}; got ${answer.text.slice(0, 400)}`,
    ),
  );
  if (answer.status === 200) walk.versions.set(step.id, answer.body.item.version as number);
}

async function drawStep(walk: Walk, random: Random): Promise<Step> {
  const id = random.pick(walk.lab.ids);
  const dryRun = random.chance(0.2);
  // Left to chance alone, nearly every step would be refused and the items would hardly move.
  const likely = random.chance(0.6);
  const lane = walk.lanes.get(id) as Lane;
  const identity = random.pick(
    likely ? IDENTITIES.filter((one) => laneAfter(lane, one) !== null) : IDENTITIES,
  );
  const role = random.pick(likely ? ROLES.filter((one) => mayAct(one, identity)) : ROLES);
  const input = drawInput(random, identity);
  const headers: Record<string, string> = {};
  if (random.chance(0.9)) headers['idempotency-key'] = randomUUID();
  if (random.chance(0.8)) headers['if-match'] = await drawVersion(walk, random, id);
  return { role, id, identity, dryRun, body: input === undefined ? {} : { input }, headers };
}

/** Mostly what the item has now, sometimes an old version. */
async function drawVersion({ lab, versions }: Walk, random: Random, id: string): Promise<string> {
  if (random.chance(0.1)) return `"${(versions.get(id) ?? 1) + 1000}"`;
  const { headers } = await lab.as(random.pick(READERS)).get(itemPath(id));
  return headers.get('etag') ?? '*';
}

function drawInput(random: Random, identity: Identity): unknown {
  if (random.chance(0.05))
    return random.pick<unknown>([{ unknown: 1 }, { note: 7 }, 'text', { note: 'x'.repeat(5000) }]);
  const criterion = random.pick<unknown>([1, 2, 'First', 3, 'Nothing']);
  const commit = random.pick(['0123456789abcdef0123456789abcdef01234567', 'fedcba9']);
  if (identity === 'submit-evidence') {
    const kind = random.pick(['validation', 'criterion', 'attestation']);
    return {
      kind,
      result: random.pick(['passed', 'failed']),
      commit,
      ...(kind === 'criterion' ? { criterion } : {}),
    };
  }
  if (identity === 'waive-criterion') return { criterion, reason: 'Agreed with the team.' };
  if (identity === 'override-gate') {
    const until = new Date(Date.now() + 3_600_000).toISOString();
    return {
      gate: random.pick(['pull-request', 'lane-transition', 'truth-fresh']),
      action: 'complete',
      reason: 'Urgent.',
      until,
    };
  }
  return random.chance(0.5) ? { note: `Note ${random.below(1000)}` } : undefined;
}

/** What the answer breaks, in words; keeps the model of the lanes. */
function judge({ lanes }: Walk, step: Step, answer: Answer): string[] {
  if (answer.status >= 500) return ['a server error'];
  if (answer.status !== 200) return judgeRefusal(step, answer);
  const before = lanes.get(step.id) as Lane;
  const after = laneAfter(before, step.identity);
  if (after === null) return [`${step.identity} is not allowed from ${before}`];
  const wrong = mayAct(step.role, step.identity) ? [] : [`${step.role} may not do this`];
  const { from, to } = answer.body.lane as { from: Lane; to: Lane };
  if (from !== before || to !== after) wrong.push(`says ${from} -> ${to}, the table ${before} -> ${after}`);
  if (!step.dryRun) lanes.set(step.id, after);
  return wrong;
}

function judgeRefusal(step: Step, { status, headers, body }: Answer): string[] {
  const wrong: string[] = [];
  if (!headers.get('content-type')?.startsWith('application/problem+json')) return ['no problem document'];
  for (const field of ['code', 'hint', 'requestId']) if (!body[field]) wrong.push(`${field} is missing`);
  const permitted = mayAct(step.role, step.identity);
  if (status === 403 && permitted && body.permission === undefined)
    wrong.push('refused without naming a permission');
  if (status === 409 && body.code === 'action-blocked') wrong.push(...judgeBlockers(body.blockers));
  if (![400, 403, 404, 409, 412, 428].includes(status)) wrong.push(`an unexpected status`);
  return wrong;
}

const TEXTS = ['cause', 'policyContext', 'nextStep'] as const;

function judgeBlockers(blockers: unknown): string[] {
  if (!Array.isArray(blockers) || blockers.length === 0) return ['blocked without a blocker'];
  return blockers.flatMap((blocker: { gate: string; recovery: Record<string, unknown> | null }) => {
    const { recovery } = blocker;
    const retry = (recovery?.safeRetry as { text?: string } | undefined)?.text;
    const missing = [...TEXTS.filter((name) => !recovery?.[name]), ...(retry ? [] : ['safeRetry'])];
    return missing.length > 0 ? [`${blocker.gate} lacks ${missing.join(', ')}`] : [];
  });
}
