import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../service/config.ts';
import { jobsOf } from '../../service/jobs/jobs.ts';
import type { JobDefinition } from '../../service/jobs/jobs.ts';
import { planOf } from '../../service/jobs/work.ts';

function configOf(env: Record<string, string>) {
  const parsed = parseConfig(env, { cwd: '/nowhere' });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}
const SQLITE = configOf({});
const POSTGRES = configOf({ FACTORY_DATABASE_URL: 'postgres://factory@db.example.org/factory' });
const here = (jobs: JobDefinition[]): string[] =>
  jobs.filter(({ elsewhere }) => elsewhere === null).map(({ name }) => name);

describe('jobs that are run here', () => {
  it('are all of them on SQLite, and all but differentials on Postgres', () => {
    expect(here(jobsOf(SQLITE, 0))).toEqual(['backup', 'differential', 'verify', 'drill', 'prune']);
    const jobs = jobsOf(POSTGRES, 0);
    expect(here(jobs)).toEqual(['backup', 'verify', 'drill', 'prune']);
    const why = jobs.find(({ name }) => name === 'differential')?.elsewhere;
    expect(why).toMatch(/full backups only.*point-in-time/);
  });

  it('are told as what they do on the engine', () => {
    const [plan, other] = [SQLITE, POSTGRES].map((config) => {
      const drill = jobsOf(config, 0).find(({ name }) => name === 'drill');
      return planOf(drill ?? expect.fail(), config, { refused: null, after: null });
    });
    expect(plan?.steps[0]).toContain('a folder of its own');
    expect(other?.steps[0]).toContain('a scratch database');
  });
});
