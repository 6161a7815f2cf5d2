import { statSync } from 'node:fs';
import type { Config } from '../config.ts';
import { whyNoBackupHere, whyNoDrillHere } from './recovery-key.ts';
import type { Schedule } from './schedule.ts';
import { JOB_NAMES } from './types.ts';
import type { JobName } from './types.ts';

/** What the jobs are here: their times, and which of them are none of this installation's. */

/** Below this size a differential is cheap enough for every minute. */
const SMALL_BYTES = 100 * 2 ** 20;

export interface JobDefinition {
  name: JobName;
  title: string;
  schedule: Schedule;
  /** Why it is never run here, as one sentence; null: it is. */
  elsewhere: string | null;
}

const TITLES: Record<JobName, string> = {
  backup: 'Full backup',
  differential: 'Differential backup',
  verify: 'Verify backups',
  drill: 'Restore drill',
  prune: 'Prune old backups',
};

/** `databaseBytes`: null where it is not known. */
export function jobsOf(config: Config, databaseBytes: number | null): JobDefinition[] {
  const { backup } = config;
  const cron = (text: string): Schedule => ({ kind: 'cron', text });
  const schedules: Record<JobName, Schedule> = {
    backup: cron(backup.schedule),
    differential: { kind: 'interval', seconds: differentialSeconds(config, databaseBytes) },
    verify: cron(backup.verifySchedule),
    drill: cron(backup.drillSchedule),
    prune: cron(backup.pruneSchedule),
  };
  return JOB_NAMES.map((name) => ({
    ...{ name, title: TITLES[name], schedule: schedules[name] },
    elsewhere: elsewhere(config, name),
  }));
}

export function differentialSeconds(
  { backup }: Pick<Config, 'backup'>,
  databaseBytes: number | null,
): number {
  const small = databaseBytes !== null && databaseBytes < SMALL_BYTES;
  return backup.differentialSeconds ?? (small ? 60 : 300);
}

function elsewhere(config: Config, name: JobName): string | null {
  const isSqlite = config.databaseUrl.startsWith('sqlite:');
  switch (name) {
    case 'backup':
      return whyNoBackupHere(config);
    case 'differential':
      return isSqlite
        ? whyNoBackupHere(config)
        : 'A Postgres database has full backups only; less loss needs point-in-time recovery of the provider.';
    case 'drill':
      return whyNoDrillHere(config);
    case 'verify':
    case 'prune':
      return null;
  }
}

/** Null where it is not a file. */
export function databaseBytes({ databaseUrl }: Pick<Config, 'databaseUrl'>): number | null {
  if (!databaseUrl.startsWith('sqlite:')) return null;
  return statSync(databaseUrl.slice('sqlite:'.length), { throwIfNoEntry: false })?.size ?? null;
}
