import type { Verb } from './verb.ts';
import { BACKUP_VERBS } from './verbs/backups.ts';
import { AUDIT_VERBS, START_VERBS, TOOL_VERBS } from './verbs/data.ts';
import { GOVERNANCE_VERBS } from './verbs/governance.ts';
import { HOST_VERBS } from './verbs/host.ts';
import { JOBS_VERBS } from './verbs/jobs.ts';
import { KEYS_VERBS } from './verbs/keys.ts';
import { DEPLOY_VERBS } from './verbs/deploy.ts';
import { DRILL_VERBS } from './verbs/drills.ts';
import { PEOPLE_VERBS } from './verbs/people.ts';
import { PORT_VERBS } from './verbs/port.ts';
import { SERVICE_VERBS } from './verbs/service.ts';
import { SESSION_VERBS } from './verbs/sessions.ts';

/** One line a group of verbs. */
export const GROUPS: Record<string, string> = {
  people: 'The members of the project',
  token: 'API tokens; only their hash is stored',
  items: 'Work items of a running service',
  sessions: 'Conversations of a running service',
  search: 'The index that conversations are searched with',
  audit: 'The audit log',
  governance: 'Holds, erasures, retention and grants of conversations',
  queue: 'The work-items folder that the database follows',
  backups: 'What lies in the destinations',
  jobs: 'What is done at its times, by the service or from outside',
  host: 'The machines that it runs on',
  port: 'From SQLite to Postgres',
  keys: 'Who can read backups, and whether they really can',
};

/** Every verb, in the order of the help. */
export const VERBS: readonly Verb[] = [
  ...START_VERBS,
  ...PEOPLE_VERBS,
  ...AUDIT_VERBS,
  ...BACKUP_VERBS,
  ...DRILL_VERBS,
  ...JOBS_VERBS,
  ...KEYS_VERBS,
  ...PORT_VERBS,
  ...HOST_VERBS,
  ...DEPLOY_VERBS,
  ...TOOL_VERBS,
  ...SERVICE_VERBS,
  ...SESSION_VERBS,
  ...GOVERNANCE_VERBS,
];
