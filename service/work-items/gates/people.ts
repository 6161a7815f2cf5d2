import type { Actor, Facts, Handoff, Principal, Trust, WorkItem } from '../types.ts';

/** Roles whose permissions include `factory.work-item.review`; the role table of the contract. */
const REVIEWING_ROLES = ['owner', 'reviewer'];

/** Agent tokens are those with role `agent` or `ci`; every other principal acts as the person it belongs to. */
export function trustOf(principal: Pick<Principal, 'kind' | 'roles'>): Trust {
  if (principal.kind !== 'token') return 'person';
  if (principal.roles.includes('agent')) return 'agent';
  return principal.roles.includes('ci') ? 'ci' : 'person';
}

/** Whether this actor may speak for a review: a person, or a person's own token, with a reviewer's role. */
export function mayAttest(actor: Actor): boolean {
  const { kind, roles } = actor;
  return (
    kind !== 'system' &&
    trustOf({ kind, roles }) === 'person' &&
    roles.some((role) => REVIEWING_ROLES.includes(role))
  );
}

/**
 * The people who queued or executed any handoff of the item, or own the agent that did. Who only sent work back opened
 * the handoff for it, but reviewed and did not work.
 */
export function authorsOf(item: WorkItem): ReadonlySet<string> {
  const handoffs = item.handoff ? [...item.pastHandoffs, item.handoff] : item.pastHandoffs;
  const people = handoffs.flatMap((handoff) => [
    openedByReview(handoff, item) ? null : handoff.queuedBy?.personId,
    handoff.holder?.personId,
  ]);
  return new Set(people.filter((person) => person !== null && person !== undefined));
}

/** Requesting changes queues a handoff and moves the item in one act; after Start execution comes some other move. */
function openedByReview({ queuedBy, queuedAt }: Handoff, { lanes }: WorkItem): boolean {
  const next = lanes.find(({ at }) => Date.parse(at) >= Date.parse(queuedAt));
  return next?.via === 'request-changes' && next.by.id === queuedBy?.id;
}

/** Whoever did something to the item that its texts may name, each as often as they did. */
export function actorsOf(item: WorkItem): Actor[] {
  const handoffs = item.handoff ? [...item.pastHandoffs, item.handoff] : item.pastHandoffs;
  const actors = [
    ...handoffs.flatMap(({ queuedBy, holder }) => [queuedBy, holder]),
    ...item.evidence.map(({ producer }) => producer),
    ...[...item.waivers, ...item.approvals].map(({ by }) => by),
    ...item.overrides.flatMap(({ by, secondedBy }) => [by, secondedBy]),
  ];
  return actors.filter((actor) => actor !== null);
}

/** The name of a person, or of a token with its owner; one that nothing knows any more is called so. */
export function nameOf(id: string | null, { people, names }: Pick<Facts, 'people' | 'names'>): string {
  if (id === null) return 'the system';
  const person = people.find((one) => one.id === id)?.name;
  return person ?? (Object.hasOwn(names, id) ? names[id] : undefined) ?? 'somebody unknown';
}

/** Names of people who may review and are not among `except`. */
export function reviewersBut(except: ReadonlySet<string>, facts: Facts): string[] {
  const able = facts.people.filter(({ roles }) => roles.some((role) => REVIEWING_ROLES.includes(role)));
  return able.filter(({ id }) => !except.has(id)).map(({ name }) => name);
}

/** Names of the people but `personId` who hold the permission to override a gate: the owners. */
export function ownersBut(personId: string | null, { people }: Pick<Facts, 'people'>): string[] {
  return people.filter(({ id, roles }) => roles.includes('owner') && id !== personId).map(({ name }) => name);
}

/**
 * Whether an act of `by` counts although it needs a second person: in the team preset if the person is not among
 * `authors`, in the solo preset always, for an author after the waiting time.
 * @returns the time from which it counts; null: never
 */
export function countsFrom(
  act: { by: Actor; at: string },
  authors: ReadonlySet<string>,
  preset: Facts['preset'],
  soloWaitSeconds: number,
): string | null {
  if (act.by.personId === null) return null;
  if (!authors.has(act.by.personId)) return act.at;
  if (preset === 'team') return null;
  return new Date(Date.parse(act.at) + soloWaitSeconds * 1000).toISOString();
}
