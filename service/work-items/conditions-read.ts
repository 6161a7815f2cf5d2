import { effectiveRoles, permissionsOf } from '../access/roles.ts';
import { param, statement } from '../storage/statement.ts';
import type { Reader } from '../storage/transaction.ts';
import { ACTIONS } from './actions.ts';
import type { Conditions } from './conditions.ts';
import type { WorkItemDependencies } from './dependencies.ts';
import { overrideState } from './gates/override.ts';
import { gatesOf } from './packs.ts';
import { findItem } from './store.ts';
import type { Actor, Lane, Policy, WorkItem } from './types.ts';

const holderToken = statement<{ project_id: string; id: string }>()((db) =>
  db
    .selectFrom('tokens')
    .select(['expires_at', 'revoked_at', 'roles'])
    .where('project_id', '=', param('project_id'))
    .where('id', '=', param('id')),
);

/** Handoffs that somebody works on; a submitted one needs its holder no more. */
const HELD: readonly string[] = ['claimed', 'running', 'awaiting-human'];

/** Reads what bears on an item. Items without an open handoff cost no query. */
export async function conditionsOf(
  reader: Reader,
  deps: WorkItemDependencies,
  item: WorkItem,
): Promise<Conditions> {
  const { handoff } = item;
  const holder = handoff && HELD.includes(handoff.state) ? handoff.holder : null;
  return {
    queueWrites: deps.queueWrites,
    waitsFor: handoff?.state === 'queued' ? await openDependencies(reader, deps, item) : [],
    lostHolder: holder ? await lostHolder(reader, deps, holder) : null,
  };
}

async function openDependencies(
  reader: Reader,
  deps: WorkItemDependencies,
  item: WorkItem,
): Promise<Conditions['waitsFor']> {
  const { blockedBy } = item.record;
  if (blockedBy.length === 0 || !(await claimIsGated(reader, deps, item))) return [];
  const all = await Promise.all(
    blockedBy.map(async (id) => {
      const row = await findItem(reader, deps.projectId, id);
      return { id, lane: (row?.lane as Lane | undefined) ?? null };
    }),
  );
  return all.filter(({ lane }) => lane !== 'done');
}

/** Whether the policy lets a claim wait for other items, and no override lets it pass. */
async function claimIsGated(reader: Reader, deps: WorkItemDependencies, item: WorkItem): Promise<boolean> {
  const policy: Policy = deps.policy();
  const gated = gatesOf('claim', policy).some(
    ({ gate, mode }) => gate === 'dependencies' && mode === 'block',
  );
  const overrides = item.overrides.filter((one) => one.gate === 'dependencies' && one.action === 'claim');
  if (!gated || overrides.length === 0 || policy.hard.includes('dependencies')) return gated;
  const people = await deps.people.active(reader);
  const preset = policy.preset ?? (people.length > 1 ? 'team' : 'solo');
  const rules = { preset, soloWaitSeconds: policy.soloWaitSeconds, now: deps.clock.iso() };
  return !overrides.some((one) => overrideState(one, rules).state === 'in-force');
}

async function lostHolder(reader: Reader, deps: WorkItemDependencies, holder: Actor): Promise<string | null> {
  const why = await whyLost(reader, deps, holder);
  return why === null ? null : `${(await deps.names.namer())(holder)}, ${why}`;
}

async function whyLost(reader: Reader, deps: WorkItemDependencies, holder: Actor): Promise<string | null> {
  const people = await deps.people.active(reader);
  const person = people.find(({ id }) => id === holder.personId);
  if (holder.kind === 'person') {
    if (!person) return 'who was removed';
    return mayWork(person.roles) ? null : 'who may not submit evidence any more';
  }
  if (holder.kind !== 'token') return null;
  if (!person) return 'whose owner was removed';
  const token = await reader.get(holderToken, { project_id: deps.projectId, id: holder.id });
  if (!token || token.revoked_at !== null) return 'which was revoked';
  if (token.expires_at !== null && token.expires_at <= deps.clock.iso()) return 'which has expired';
  const roles = effectiveRoles(person.roles, token.roles.split(' '));
  return mayWork(roles) ? null : 'which may not submit evidence any more';
}

/** What a holder has to give before its work counts. */
function mayWork(roles: readonly string[]): boolean {
  return permissionsOf(roles).has(ACTIONS['submit-evidence'].permission);
}
