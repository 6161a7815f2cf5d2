/** Roles and what they may do; docs/decisions and the role table of the contract are its source. */

export const ROLES = ['owner', 'planner', 'reviewer', 'agent', 'ci', 'operator', 'auditor'] as const;
export type Role = (typeof ROLES)[number];

const item = (name: string) => `factory.work-item.${name}`;

/** Every permission that exists, so that an owner's "everything" is a list and not a wildcard. */
export const PERMISSIONS = [
  item('read'),
  item('create'),
  item('plan'),
  item('execute'),
  item('request-review'),
  item('prepare-release'),
  item('record-history'),
  item('claim'),
  item('review'),
  item('complete'),
  item('cancel'),
  item('reconcile'),
  item('submit-evidence'),
  item('override'),
  'factory.people.read',
  'factory.people.manage',
  'factory.token.manage',
  'factory.audit.read',
  'factory.metrics.read',
  'factory.operations.read',
  'factory.operations.run',
  'factory.operations.report',
  'factory.session.use',
  'factory.session.read-all',
  'factory.session.metadata',
  'factory.governance.read',
  'factory.governance.manage',
] as const;

/** Of everybody who signs in: a page that refuses something says whom to ask. */
const PEOPLE = 'factory.people.read';
/** Backups, drills and jobs: whoever answers for work sees whether it is kept. */
const OPERATIONS = 'factory.operations.read';
/** Drills that were held elsewhere; what they state is signed, so this alone proves nothing. */
const REPORT = 'factory.operations.report';

/** Sessions of one's own, and those that one has a grant for. */
const SESSIONS = 'factory.session.use';

const GRANTS: Record<Role, readonly string[]> = {
  owner: PERMISSIONS,
  planner: [
    ...['read', 'create', 'plan', 'execute', 'request-review', 'cancel', 'reconcile', 'record-history'].map(
      item,
    ),
    ...[PEOPLE, OPERATIONS, SESSIONS],
  ],
  reviewer: [
    ...['read', 'review', 'submit-evidence', 'prepare-release', 'complete', 'record-history'].map(item),
    ...[PEOPLE, OPERATIONS, SESSIONS],
  ],
  agent: [...['read', 'claim', 'submit-evidence', 'request-review', 'record-history'].map(item), SESSIONS],
  ci: [item('submit-evidence'), REPORT],
  operator: ['factory.metrics.read', OPERATIONS, 'factory.operations.run', REPORT, PEOPLE],
  auditor: ['factory.audit.read', OPERATIONS, PEOPLE, 'factory.session.metadata', 'factory.governance.read'],
};

export function isRole(value: string): value is Role {
  return (ROLES as readonly string[]).includes(value);
}

export function permissionsOf(roles: readonly string[]): ReadonlySet<string> {
  return new Set(roles.filter(isRole).flatMap((role) => GRANTS[role]));
}

/** Agent tokens must send `Idempotency-Key` and `If-Match`: those with role `agent` or `ci`. */
export function isAgent(roles: readonly string[]): boolean {
  return roles.includes('agent') || roles.includes('ci');
}

/** They look on and change no work; whoever has no other role hands out no work either. */
const READ_ONLY: ReadonlySet<string> = new Set<Role>(['operator', 'auditor']);

/**
 * A token can do no more than its person: an owner may hand out any role, everybody else what they have, and whoever
 * may do work also `agent` or `ci`, which are made for tokens.
 */
export function mayIssue(personRoles: readonly string[], tokenRoles: readonly string[]): boolean {
  if (personRoles.includes('owner')) return true;
  const works = personRoles.some((role) => !READ_ONLY.has(role));
  return tokenRoles.every(
    (role) => personRoles.includes(role) || (works && (role === 'agent' || role === 'ci')),
  );
}

/** What of a token's roles counts while its person has these: a role that the person lost is held back. */
export function effectiveRoles(personRoles: readonly string[], tokenRoles: readonly string[]): string[] {
  return tokenRoles.filter((role) => mayIssue(personRoles, [role]));
}
