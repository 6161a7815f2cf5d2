import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startS3 } from '../helpers/s3-double.ts';
import { factory, factoryJson, launch, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

interface Made {
  backupId: string;
  kind: string;
  destinations: { url: string; status: string; error?: { code: string; hint: string } }[];
}
interface Listed {
  backups: { backupId: string; kind: string; sequence: number; destination: string }[];
  problems: unknown[];
}

function placeWith(env: Record<string, string> = {}): Place {
  const place = newPlace({ env });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  return place;
}

/** Another application's database with rows that belong together. */
function database(place: Place, rows = 2000): { path: string; change: () => void } {
  const path = join(place.dir, 'app.db');
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.exec('create table pair (id integer primary key, a integer, b integer, note text)');
  const insert = db.prepare('insert into pair (a, b, note) values (?, ?, ?)');
  db.transaction(() => {
    for (let n = 0; n < rows; n += 1) insert.run(n, -n, `note ${n} `.repeat(20));
  })();
  onTestFinished(() => void db.close());
  const update = db.prepare('update pair set a = a + 1, b = b - 1 where id % 50 = ?');
  let turn = 0;
  return { path, change: () => void update.run((turn += 1) % 50) };
}

function holds(path: string): boolean {
  const db = new Database(path, { readonly: true });
  try {
    return db.prepare('select count(*) from pair where a + b <> 0').pluck().get() === 0;
  } finally {
    db.close();
  }
}

describe('the product’s own data', () => {
  it('is backed up while it is served, and restored into a database that starts', async () => {
    const place = placeWith();
    const service = await serve(place);
    onTestFinished(async () => void (await service.stop()));
    const made = await factory(place, 'backup', '--json');
    expect([made.code, made.stderr]).toEqual([0, expect.stringContaining('recovery key')]);
    expect((JSON.parse(made.stdout) as Made).kind).toBe('full');
    const again = await factory(place, 'backup');
    expect(again.stderr).not.toContain('recovery key');
    await service.stop();

    const restored = join(place.dir, 'restored.db');
    const { code, answer } = await factoryJson<{ verified: boolean }>(place, 'restore', '--to', restored);
    expect([code, answer.verified]).toEqual([0, true]);
    const second = { ...place, env: { ...place.env, FACTORY_DATABASE_URL: `sqlite:${restored}` } };
    expect((await factoryJson<{ ok: boolean }>(second, 'verify-audit')).answer.ok).toBe(true);
    const started = await serve(second);
    expect((await fetch(`${started.url}/api/health`)).status).toBe(200);
    await started.stop();
  });
});

describe('exit codes', () => {
  const app = ['--db', 'app.db', '--name', 'app'];

  it('tell one destination that is down from all of them', async () => {
    const place = placeWith();
    const folder = join(place.dir, 'first');
    writeFileSync(join(place.dir, 'a-file'), '');
    const bad = pathToFileURL(join(place.dir, 'a-file/below')).href;
    database(place);
    // One that cannot be written, and one that nobody gave credentials for.
    const destinations = `${pathToFileURL(folder).href} ${bad} s3://bucket/prefix?endpoint=http://127.0.0.1:9`;
    const both = { ...place, env: { ...place.env, FACTORY_BACKUP_DESTINATIONS: destinations } };
    const one = await factoryJson<Made>(both, 'backup', ...app);
    expect(one.code).toBe(3);
    expect(one.answer.destinations.map(({ status, error }) => [status, typeof error?.hint])).toEqual([
      ['ok', 'undefined'],
      ['failed', 'string'],
      ['failed', 'string'],
    ]);
    const again = await factory(both, 'backup', ...app);
    const [head = '', ...rest] = again.stdout.split('\n');
    expect([again.code, head]).toEqual([3, expect.stringMatching(/^  failed  file:/)]);
    // Where it is, and nothing of where it is not.
    const claim = rest.findIndex((line) => line.startsWith('Nothing changed since'));
    expect(rest.slice(claim + 1).filter((line) => line !== '')).toEqual([
      expect.stringMatching(/^  ok      file:.*first/),
    ]);
    const none = { ...place, env: { ...place.env, FACTORY_BACKUP_DESTINATIONS: bad } };
    const nowhere = await factory(none, 'backup', ...app);
    expect([nowhere.code, nowhere.stdout]).toEqual([
      1,
      expect.stringContaining('No destination has a backup'),
    ]);
    expect(nowhere.stdout).not.toContain('Nothing changed');
    expect((await factoryJson<Made>(none, 'backup', '--full', ...app)).code).toBe(1);
  });

  const REFUSED: [what: string, args: string[], code: string, exit: number][] = [
    ['an unknown backup', ['--backup', 'x', '--to', 'r.db'], 'backup-unknown', 1],
    ['a time before the first', ['--at', '2020-01-01T00:00:00Z', '--to', 'r.db'], 'backup-before-first', 1],
    ['a time to come', ['--at', '2999-01-01T00:00:00Z', '--to', 'r.db'], 'backup-after-last', 1],
    ['no time', ['--at', 'yesterday', '--to', 'r.db'], 'usage', 2],
    ['a target that exists', ['--to', 'app.db'], 'restore-target-exists', 4],
    ['a folder that does not', ['--to', 'nowhere/r.db'], 'restore-folder-missing', 1],
    ['no target', [], 'usage', 2],
    ['a wrong identity', ['--to', 'r.db', '--identity', 'wrong.key'], 'identity-missing', 1],
    ['another name', ['--to', 'r.db', '--name', 'other'], 'backup-none', 1],
  ];

  it('of a restore that cannot be: nothing is written', async () => {
    const place = placeWith();
    database(place);
    writeFileSync(join(place.dir, 'wrong.key'), 'no key\n');
    await factory(place, 'backup', ...app);
    const before = readdirSync(place.dir).sort();
    for (const [what, args, code, exit] of REFUSED) {
      const ran = await factoryJson<{ error: { code: string } }>(place, 'restore', '--name', 'app', ...args);
      expect([what, ran.answer.error.code, ran.code]).toEqual([what, code, exit]);
    }
    expect(readdirSync(place.dir).sort()).toEqual(before);
  });
});

describe('what lies in a destination', () => {
  const app = ['--db', 'app.db', '--name', 'app'];
  const named = ['--name', 'app'];
  const DAY_MS = 86_400_000;

  /** The files of a backup, by what their names begin with. */
  function filesOf(place: Place, backupId: string): string[] {
    const folder = join(place.data, 'backups', dirname(backupId));
    return readdirSync(folder)
      .filter((name) => name.startsWith(basename(backupId)))
      .map((name) => join(folder, name));
  }

  it('is verified, and pruned by a plan that was shown', async () => {
    const place = placeWith();
    const { change } = database(place);
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      change();
      made.push((await factoryJson<Made>(place, 'backup', '--full', ...app)).answer.backupId);
    }
    const [oldest = ''] = made;
    const before = new Date(Date.now() - 40 * DAY_MS);
    for (const file of filesOf(place, oldest)) utimesSync(file, before, before);

    interface Plan {
      plan: { delete: string[]; refused: string | null; digest: string };
    }
    const unverified = await factoryJson<Plan>(place, 'backups', 'prune', ...named);
    expect(unverified.answer.plan).toMatchObject({ delete: [], refused: expect.stringContaining('verify') });
    expect((await factory(place, 'backups', 'verify', '--all', ...named)).code).toBe(0);
    const { answer } = await factoryJson<Plan>(place, 'backups', 'prune', ...named);
    expect(answer.plan).toMatchObject({ delete: [oldest], refused: null });
    expect(filesOf(place, oldest)).toHaveLength(4);

    const other = await factoryJson<{ error: { code: string } }>(
      place,
      'backups',
      'prune',
      '--apply',
      'x',
      ...named,
    );
    expect([other.code, other.answer.error.code]).toEqual([4, 'plan-outdated']);
    expect((await factory(place, 'backups', 'prune', '--apply', answer.plan.digest, ...named)).code).toBe(0);
    expect(filesOf(place, oldest)).toEqual([]);
    const { answer: listed } = await factoryJson<Listed>(place, 'backups', 'list', ...named);
    expect(listed.backups.map(({ backupId }) => backupId)).toEqual(made.slice(1));
  });

  it('that was damaged in one destination is restored from the next', async () => {
    const place = placeWith();
    database(place);
    const urls = ['backups', 'second'].map((name) => pathToFileURL(join(place.data, name)).href);
    const both = { ...place, env: { ...place.env, FACTORY_BACKUP_DESTINATIONS: urls.join(' ') } };
    const { backupId } = (await factoryJson<Made>(both, 'backup', ...app)).answer;
    const [data = ''] = filesOf(place, backupId).filter((name) => name.endsWith('.sqlite.zst.age'));
    const content = readFileSync(data);
    content[100] = (content[100] ?? 0) ^ 1;
    writeFileSync(data, content);
    const to = join(place.dir, 'r.db');
    const ran = await factory(both, 'restore', '--to', to, ...named);
    expect([ran.code, ran.stderr]).toEqual([3, expect.stringContaining(`Asking ${urls[1]}`)]);
    expect(holds(to)).toBe(true);
    expect((await factory(both, 'restore', '--from', urls[0] ?? '', '--to', `${to}2`, ...named)).code).toBe(
      1,
    );
  });

  it('that was damaged is named, and loses its good name', async () => {
    const place = placeWith();
    database(place);
    const { backupId } = (await factoryJson<Made>(place, 'backup', ...app)).answer;
    await factory(place, 'backups', 'verify', ...named);
    const [data = ''] = filesOf(place, backupId).filter((name) => name.endsWith('.sqlite.zst.age'));
    const content = readFileSync(data);
    content[100] = (content[100] ?? 0) ^ 1;
    writeFileSync(data, content);
    const { code, answer } = await factoryJson<{ damaged: { backupId: string }[] }>(
      place,
      'backups',
      'verify',
      ...named,
    );
    expect([code, answer.damaged.map((one) => one.backupId)]).toEqual([3, [backupId]]);
    expect((await factory(place, 'backups', 'list', ...named)).stdout).toContain('damaged');
    const listed = await factoryJson<{ backups: object[] }>(place, 'backups', 'list', ...named);
    expect(listed.answer.backups).toEqual([
      expect.objectContaining({ backupId, damaged: true, verifiedAt: null }),
    ]);
  });
});

describe('a bucket', () => {
  it('alone is enough: nothing but its address and the recovery key', async () => {
    const server = await startS3({ provider: 'b2' });
    onTestFinished(() => server.close());
    const url = `s3://backups/team?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`;
    const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
    const place = placeWith({ FACTORY_BACKUP_DESTINATIONS: url, ...keys });
    database(place);
    expect((await factoryJson<Made>(place, 'backup', '--db', 'app.db', '--name', 'app')).code).toBe(0);

    const elsewhere = placeWith(keys);
    const key = join(elsewhere.dir, 'recovery.key');
    writeFileSync(key, readFileSync(join(place.data, 'keyring/backup-recovery.key')));
    const args = ['--from', url, '--name', 'app', '--identity', key, '--to', 'r.db'];
    expect((await factoryJson(elsewhere, 'restore', ...args)).code).toBe(0);
    expect(holds(join(elsewhere.dir, 'r.db'))).toBe(true);
  });
});

/** Killed at every stage, from the start of the process to after its last write. */
describe('kill -9', () => {
  it(
    'leaves a catalog of backups that all restore, and nothing to clean up',
    { timeout: 120_000 },
    async () => {
      const place = placeWith();
      mkdirSync(place.data, { recursive: true });
      const { change } = database(place, 20_000);
      const app = ['--db', 'app.db', '--name', 'app'];
      await factory(place, 'backup', ...app);
      for (const ms of [200, 300, 350, 400, 450, 500, 600, 800]) {
        change();
        const child = launch(place, ['backup', '--full', ...app]);
        // It may be done before.
        const ended = new Promise((resolve) => child.once('close', resolve));
        await sleep(ms);
        child.kill('SIGKILL');
        await ended;
      }
      change();
      const { code, answer } = await factoryJson<Made>(place, 'backup', ...app);
      expect([code, answer.destinations[0]?.status]).toEqual([0, 'ok']);
      const { answer: listed } = await factoryJson<Listed>(place, 'backups', 'list', '--name', 'app');
      expect(listed.problems).toEqual([]);
      for (const { backupId, sequence } of listed.backups) {
        const to = join(place.dir, `r${sequence}.db`);
        expect(
          (await factory(place, 'restore', '--name', 'app', '--backup', backupId, '--to', to)).code,
        ).toBe(0);
        expect(holds(to)).toBe(true);
      }
      const state = readdirSync(join(place.data, 'backup/app'));
      expect(state.filter((name) => name.startsWith('work-'))).toEqual([]);
    },
  );
});
