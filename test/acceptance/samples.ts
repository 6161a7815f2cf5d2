import { expect, inject, it } from 'vitest';
import { serverUrl } from '../helpers/postgres.ts';
import { appendKills } from './append-kills.ts';
import { auditAttacks } from './audit-attacks.ts';
import { backupFlips } from './backup-flips.ts';
import { backupKills } from './backup-kills.ts';
import { killActions } from './kill-actions.ts';
import type { Outcome, Run } from './lab.ts';
import { portAnswers } from './port-answers.ts';
import { portKills } from './port-kills.ts';
import { queueChaos } from './queue-chaos.ts';
import { createRandom } from './random.ts';
import { randomWalk } from './random-walk.ts';
import { snapshots } from './snapshots.ts';

/** A sample of each campaign; `npm run campaign -- <name>` runs them at length and with other seeds. */
const SAMPLES: [
  name: string,
  campaign: (run: Run) => Promise<Outcome>,
  counts: Record<Run['engine'], number>,
  ran: string,
][] = [
  ['kill-actions', killActions, { sqlite: 160, postgres: 80 }, 'applied'],
  ['append-kills', appendKills, { sqlite: 800, postgres: 400 }, 'kills'],
  ['random-walk', randomWalk, { sqlite: 150, postgres: 80 }, 'status200'],
  ['queue-chaos', queueChaos, { sqlite: 120, postgres: 60 }, 'applied'],
  // 36: each way to change each table, and the whole log replaced.
  ['audit-attacks', auditAttacks, { sqlite: 36, postgres: 10 }, 'attacks'],
  // Of backups, the copy alone hangs on the engine: they are damaged once.
  ['backup-flips', backupFlips, { sqlite: 60, postgres: 0 }, 'found'],
  // Each command once in each place.
  ['backup-kills', backupKills, { sqlite: 12, postgres: 6 }, 'midway'],
  // Messages of the database that is ported.
  ['port-answers', portAnswers, { sqlite: 0, postgres: 200 }, 'answers'],
  ['port-kills', portKills, { sqlite: 0, postgres: 6 }, 'midway'],
  ['snapshots', snapshots, { sqlite: 20, postgres: 0 }, 'restored'],
];

/** One file an engine, so that two workers can share them. */
export function sampleCampaigns(engine: Run['engine']): void {
  const samples = SAMPLES.filter(([, , counts]) => counts[engine] > 0);
  it.each(samples)('%s', { timeout: 300_000 }, async (_name, campaign, counts, ran) => {
    const count = counts[engine];
    const postgresUrl = engine === 'postgres' ? await serverUrl() : undefined;
    const below = inject('scratch');
    const { failures, figures } = await campaign({
      engine,
      postgresUrl,
      below,
      seed: 7,
      count,
      random: createRandom(7),
      say: () => undefined,
    });
    expect(failures).toEqual([]);
    expect(figures[ran]).toBeGreaterThan(0);
  });
}
