import { once } from 'node:events';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { factoryJson, launch, newPlace } from './service.ts';
import type { Place } from './service.ts';

const app = ['--db', 'app.db', '--name', 'app'];

/** Large enough that each stage takes a while. */
function placeWithDatabase(): Place {
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const db = new Database(join(place.dir, 'app.db'));
  db.exec('create table blobs (id integer primary key, content blob not null)');
  db.exec(
    'with recursive n (i) as (select 1 union all select i + 1 from n where i < 6000) ' +
      'insert into blobs (content) select randomblob(8000) from n',
  );
  db.close();
  return place;
}

/** Runs a verb, sends it a signal once something is seen, and gives its answer. */
async function stopped(place: Place, args: string[], seen: () => boolean) {
  const child = launch(place, [...args, '--json']);
  const answered = text(child.stdout!);
  const closed = once(child, 'close');
  while (!seen() && child.exitCode === null) await sleep(2);
  child.kill('SIGTERM');
  const [code] = (await closed) as [number | null];
  return { code, answer: JSON.parse(await answered) as { error: { code: string } } };
}

const startingWith = (folder: string, start: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(start)) : [];

describe('SIGTERM', () => {
  it.each(['copy.sqlite', 'data.age'])(
    'while %s is written: a backup removes its work and says so',
    async (name) => {
      const place = placeWithDatabase();
      const folder = join(place.data, 'backup/app');
      const seen = (): boolean =>
        startingWith(folder, 'work-').some((work) => existsSync(join(folder, work, name)));
      const { code, answer } = await stopped(place, ['backup', ...app], seen);
      expect([code, answer.error.code]).toEqual([1, 'backup-timeout']);
      expect(startingWith(folder, 'work-')).toEqual([]);
      expect((await factoryJson(place, 'backup', ...app)).code).toBe(0);
    },
  );

  it('while a database is restored: nothing is left of it', async () => {
    const place = placeWithDatabase();
    await factoryJson(place, 'backup', ...app);
    const before = readdirSync(place.dir).sort();
    const args = ['restore', '--name', 'app', '--to', 'r.db'];
    const { code, answer } = await stopped(place, args, () => startingWith(place.dir, 'r.db').length > 0);
    expect([code, answer.error.code]).toEqual([1, 'restore-stopped']);
    expect(readdirSync(place.dir).sort()).toEqual(before);
    expect((await factoryJson(place, ...args)).code).toBe(0);
  });
});
