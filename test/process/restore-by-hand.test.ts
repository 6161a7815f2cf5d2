import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { factory, newPlace, ROOT } from './service.ts';

/** The commands of a document, in order. */
function commandsOf(path: string): string[] {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return [...text.matchAll(/```sh\n(.*?)```/gs)].map((block) => block[1] ?? '');
}

it('the commands of docs/restore-by-hand.md restore a backup', async () => {
  for (const tool of ['age', 'zstd'])
    if (spawnSync(tool, ['--version']).error) throw new Error(`${tool} is missing: apt-get install ${tool}`);
  const place = newPlace();
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const db = new Database(join(place.dir, 'app.db'));
  db.exec("create table t (v text); insert into t values ('here')");
  db.close();
  expect((await factory(place, 'backup', '--db', 'app.db')).code).toBe(0);

  const destination = join(place.data, 'backups');
  const [manifest = ''] = readdirSync(join(destination, 'full/app')).filter((name) =>
    name.endsWith('.manifest.json'),
  );
  const names = {
    KEY: join(place.data, 'keyring/backup-recovery.key'),
    BACKUP: join(destination, 'full/app', manifest.replace('.manifest.json', '')),
    TO: join(place.dir, 'restored.db'),
  };
  // The first block sets the names; here they are set to what this backup is called.
  const [setting = '', ...commands] = commandsOf('docs/restore-by-hand.md');
  expect([...setting.matchAll(/^(\w+)=/gm)].map((line) => line[1])).toEqual(Object.keys(names));
  const script = [
    'set -eu',
    ...Object.entries(names).map(([name, value]) => `${name}='${value}'`),
    ...commands,
  ].join('\n');
  const out = execFileSync('bash', ['-c', script], { cwd: place.dir, encoding: 'utf8' });

  const digest = createHash('sha256').update(readFileSync(names.TO)).digest('hex');
  expect(out.match(new RegExp(digest, 'g'))).toHaveLength(2);
  const restored = new Database(names.TO, { readonly: true });
  expect(restored.prepare('select v from t').pluck().get()).toBe('here');
  restored.close();
});
