import { expect, it, onTestFinished } from 'vitest';
import { startS3 } from '../helpers/s3-double.ts';
import type { Provider } from '../helpers/s3-double.ts';
import { factory } from '../scripts/cli.ts';
import { APP, assertRestores, NAMED, newPairs } from './pairs.ts';
import type { Made } from './pairs.ts';

/** The same life of backups at each provider, each with what it refuses, limits and keeps. */

// Rows that do not compress, so that a full backup goes in parts.
const ROWS = 10_000;
/** More than Spaces takes of one object in the five minutes that all this stays below. */
const RUNS = 7;

it.each<Provider>(['aws', 'b2', 'spaces'])(
  'backups in %s are made, verified, restored and pruned, all within five minutes',
  { timeout: 180_000 },
  async (provider) => {
    const server = await startS3({ provider });
    onTestFinished(() => server.close());
    const { place, db } = newPairs(ROWS, 'randomblob(1000)');
    const query = `endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`;
    Object.assign(place.env, {
      ...{ AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
      FACTORY_BACKUP_DESTINATIONS: `s3://backups/team?${query}`,
      FACTORY_BACKUP_GIVE_UP_SECONDS: '4',
    });
    const run = async <T>(...words: string[]): Promise<T> => {
      const ran = await factory(place.dir, [...words, '--json'], place.env);
      expect([ran.exit, ran.stderr]).toEqual([0, expect.anything()]);
      return ran.json<T>();
    };
    const kinds: string[] = [];
    for (let n = 0; n < RUNS; n += 1) {
      db.exec(`update pair set a = a + 1, b = b - 1 where id % 100 = ${n}`);
      kinds.push((await run<Made>('backup', ...APP)).kind);
    }
    expect(kinds).toEqual(['full', ...Array.from({ length: RUNS - 1 }, () => 'differential')]);
    expect(server.asked.some(({ query: asked }) => asked.has('partNumber'))).toBe(true);
    await run('backups', 'verify', '--all', ...NAMED);
    expect((await assertRestores(place, ROWS)).backups).toHaveLength(RUNS);
    const left = 'full/app/20260101T000000Z-000099.key.age';
    for (const text of ['half', 'half once more'])
      server.objects.set(`team/${left}`, { body: Buffer.from(text), at: new Date(0).toISOString() });
    const { plan } = await run<{ plan: { leftovers: string[]; digest: string } }>(
      ...['backups', 'prune', ...NAMED],
    );
    expect(plan.leftovers).toEqual([left]);
    await run('backups', 'prune', '--apply', plan.digest, ...NAMED);
    // Nothing of it is kept, hidden or not.
    expect(server.versions.filter(({ key }) => key.endsWith(left))).toEqual([]);
    expect((await assertRestores(place, ROWS)).backups).toHaveLength(RUNS);
  },
);
