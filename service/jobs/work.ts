import { hash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import type { Config } from '../config.ts';
import type { JobDefinition } from './jobs.ts';
import type { JobName, JobPlan } from './types.ts';

/** What a job does, in sentences, for whoever is about to start it. Pure. */

type Plans = Pick<Config, 'environment' | 'backup' | 'databaseUrl'>;

const EACH: Record<JobName, (urls: readonly string[], config: Plans) => string[]> = {
  backup: (urls) => [
    'Takes a copy of the whole database beside the running service, checks and encrypts it.',
    ...urls.map((url) => `Sends it to ${url}.`),
    'Reads it again from there, and compares every byte with its signed manifest.',
  ],
  differential: (urls) => [
    'Takes a copy of the database, and encrypts what changed since the last full backup; nothing where nothing changed.',
    ...urls.map((url) => `Sends it to ${url}.`),
    'Reads it again from there, and compares every byte with its signed manifest.',
  ],
  verify: (urls) =>
    urls.map((url) => `Reads every backup in ${url} and compares it with its signed manifest.`),
  drill: (urls, { databaseUrl }) => [
    `Fetches the newest backup from ${urls.join(' or ')}, and restores it into a ${databaseUrl.startsWith('sqlite:') ? 'folder of its own' : 'scratch database beside this one'}.`,
    'Starts this application on it, without workers, and reads from it.',
    'Keeps signed evidence of what came of it, and removes the copy.',
  ],
  prune: (urls, { environment, backup: { retentionDays } }) => [
    `Plans for ${urls.join(' and ')} which backups may go: full ones after ${retentionDays} days, differentials after 48 hours, attachments with the last backup that names them.`,
    environment === 'production'
      ? 'Deletes those in folders; in a bucket only somebody does whose key may, as the log of the run then says.'
      : 'Deletes exactly those, and never the newest verified ones.',
  ],
};

/** `after`: id of the run before it, so that a plan is good for one start. */
export function planOf(
  { name, elsewhere }: JobDefinition,
  config: Plans,
  { refused, after }: { refused: string | null; after: string | null },
): JobPlan {
  const urls = config.backup.destinations.map(({ url }) => url);
  const steps = EACH[name](urls, config);
  const digest = hash('sha256', `build-factory/job-plan/1\n${canonicalJson({ job: name, steps, after })}`);
  return { job: name, steps, refused: elsewhere ?? refused, digest };
}
