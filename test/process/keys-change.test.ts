import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readCatalog } from '../../scripts/lib/backup/catalog.ts';
import type { Entry } from '../../scripts/lib/backup/catalog.ts';
import { removeBackup } from '../../scripts/lib/backup/remove.ts';
import { verifyCiphertext } from '../../scripts/lib/backup/verify.ts';
import type { Destination } from '../../scripts/lib/destinations/destination.ts';
import { planRewrap, removeOlderKeys, rewrap } from '../../scripts/lib/keys/rewrap.ts';
import { FactoryError } from '../../service/errors.ts';
import { identity, newApp, transfersIn } from './backup-app.ts';
import type { App } from './backup-app.ts';
import { factory, factoryJson, newPlace } from './service.ts';

const { signal } = new AbortController();
const next = await generateX25519Identity();
const recipients = [await identityToRecipient(next)];
const signing = generateKeyPairSync('ed25519').privateKey;

const entriesOf = async (destination: Destination): Promise<Entry[]> =>
  (await readCatalog(destination, 'app', { signal })).entries;

/** As the verb does it: every backup of the plan, and what is older. */
async function rewrapAll(app: App, destination: Destination): Promise<(FactoryError | null)[]> {
  const job = {
    destination,
    identities: [identity, next],
    recipients,
    signing,
    signal,
    now: () => app.clock.now,
  };
  const entries = await entriesOf(app.destination);
  const plan = planRewrap(entries, recipients);
  const numbers = new Map(plan.wrap.map(({ backupId, number }) => [backupId, number]));
  const left: (FactoryError | null)[] = [];
  for (const entry of entries) {
    const number = numbers.get(entry.manifest.backupId);
    if (number === undefined && !plan.clean.includes(entry.manifest.backupId)) continue;
    left.push(await removeOlderKeys(job, number === undefined ? entry : await rewrap(job, entry, number)));
  }
  return left;
}

/** Data and page lists with the time at which they were written. */
function bulk(app: App): string[] {
  const root = join(app.dir, 'destination');
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(sqlite|diff|pages)\.zst\.age$/.test(path))
    .map((path) => `${path} ${statSync(join(root, path)).mtimeMs}`)
    .sort();
}

async function twoBackups(): Promise<App> {
  const app = newApp();
  await app.backup();
  app.transfer(2);
  expect((await app.backup()).kind).toBe('differential');
  return app;
}

describe('a backup that is rewrapped', () => {
  it('opens with the new key and no longer with the old one; its data is left alone', async () => {
    const app = await twoBackups();
    const before = bulk(app);
    expect(await rewrapAll(app, app.destination)).toEqual([null, null]);
    expect(bulk(app)).toEqual(before);
    expect(transfersIn(await app.restore('newest', { identities: [next] }))).toBe(2);
    await expect(app.restore('newest', { identities: [identity] })).rejects.toMatchObject({
      code: 'identity-wrong',
    });
    const entries = await entriesOf(app.destination);
    expect(planRewrap(entries, recipients)).toEqual({ wrap: [], clean: [] });
    for (const entry of entries) expect(await verifyCiphertext(app.destination, entry, signal)).toBeNull();
    for (const entry of entries) await removeBackup(app.destination, entry, signal);
    expect(await app.destination.list('full/', { signal })).toEqual([]);
    expect(await app.destination.list('diff/', { signal })).toEqual([]);
  });

  it.each([0, 1, 2, 3, 4, 5])(
    'is readable where the work is cut off after %i writes, and the next run ends it',
    async (calls) => {
      const app = await twoBackups();
      let left = calls;
      const cut = async <T>(work: () => Promise<T>): Promise<T> => {
        if (left === 0) throw new FactoryError({ code: 'cut-off', op: 'test', message: 'cut', hint: '' });
        left -= 1;
        return work();
      };
      const { destination } = app;
      const dying: Destination = {
        ...destination,
        put: (...args) => cut(() => destination.put(...args)),
        delete: (...args) => cut(() => destination.delete(...args)),
      };
      await expect(rewrapAll(app, dying)).rejects.toThrow('cut');
      expect(transfersIn(await app.restore('newest', { identities: [identity, next] }))).toBe(2);
      await rewrapAll(app, destination);
      expect(planRewrap(await entriesOf(destination), recipients)).toEqual({ wrap: [], clean: [] });
      expect(transfersIn(await app.restore('newest', { identities: [next] }))).toBe(2);
      await expect(app.restore('newest', { identities: [identity] })).rejects.toMatchObject({
        code: 'identity-wrong',
      });
    },
  );

  it('stays open to the old key where nothing may be deleted, and that is said', async () => {
    const app = await twoBackups();
    const forbidden = async (): Promise<never> => {
      throw new FactoryError({ code: 'destination-forbidden', op: 'delete', message: 'no', hint: '' });
    };
    const left = await rewrapAll(app, { ...app.destination, delete: forbidden });
    expect(left.map((error) => error?.code)).toEqual(['destination-forbidden', 'destination-forbidden']);
    for (const key of [identity, next])
      expect(transfersIn(await app.restore('newest', { identities: [key] }))).toBe(2);
    expect(planRewrap(await entriesOf(app.destination), recipients).clean).toHaveLength(2);
  });

  it('cannot be made with a key that does not open it', async () => {
    const app = await twoBackups();
    const [entry] = await entriesOf(app.destination);
    const job = {
      destination: app.destination,
      identities: [next],
      recipients,
      signing,
      signal,
      now: Date.now,
    };
    if (entry) await expect(rewrap(job, entry, 2)).rejects.toMatchObject({ code: 'identity-wrong' });
    expect(await app.destination.list('full/app/', { signal })).toHaveLength(4);
  });
});

describe('other recipients', () => {
  it('get a full backup at once, also where nothing changed', async () => {
    const app = await twoBackups();
    expect((await app.backup({ recipients })).kind).toBe('full');
    expect((await app.backup({ recipients })).kind).toBe('skipped');
    expect(transfersIn(await app.restore('newest', { identities: [next] }))).toBe(2);
  });

  it('are planned, put into force and given what is there, by verbs', { timeout: 240_000 }, async () => {
    const place = newPlace();
    onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
    const db = new Database(join(place.dir, 'app.db'));
    db.exec("create table t (v text); insert into t values ('here')");
    db.close();
    expect((await factory(place, 'backup', '--db', 'app.db')).code).toBe(0);
    const planned = await factoryJson<{ plan: { digest: string } }>(place, 'keys', 'rotate');
    expect((await factory(place, 'keys', 'rotate', '--apply', 'x')).code).toBe(4);
    const rotated = await factory(place, 'keys', 'rotate', '--apply', planned.answer.plan.digest);
    expect(rotated.code).toBe(0);
    expect(rotated.stdout).toMatch(
      /1\. Copy \S+backup-recovery-\S+\.key to the other machine[^]+does not open the backups to come[^]+2\.[^]+keys prove --identity COPY/,
    );

    const oldKey = join(place.data, 'keyring/backup-recovery.key');
    expect(rotated.stdout).toMatch(new RegExp(`4\\. .*keys rewrap --identity ${oldKey}: the new keys read`));

    // A backup of after it: the old key opens the one of before, and says what it does not open.
    expect((await factory(place, 'backup', '--db', 'app.db')).code).toBe(0);
    const older = await factory(
      place,
      ...['restore', '--name', 'app', '--to', join(place.dir, 'older.db'), '--identity', oldKey],
    );
    expect([older.code, older.stdout]).toEqual([
      3,
      expect.stringMatching(/This key does not open the newest backup \(made for other keys since 20/),
    ]);
    expect(older.stdout).not.toContain('does not restore');

    const given = ['--name', 'app', '--identity', oldKey];
    const asText = await factory(place, 'keys', 'rewrap', ...given);
    // Where the old key lies here, none needs to be named.
    const bare = await factory(place, 'keys', 'rewrap', '--name', 'app');
    expect(bare.stdout).toMatch(/keys rewrap --from \S+ --name app --apply [0-9a-f]+/);
    expect(asText.stdout).toMatch(
      new RegExp(`keys rewrap --from \\S+ --identity ${oldKey} --name app --apply [0-9a-f]+`),
    );
    const plan = await factoryJson<{ plans: { digest: string; wrap: unknown[] }[] }>(
      ...([place, 'keys', 'rewrap', '--name', 'app'] as const),
    );
    expect(plan.answer.plans[0]?.wrap).toHaveLength(1);
    const done = await factoryJson<{ applied: { seconds: number }; kept: unknown[] }>(
      ...([place, 'keys', 'rewrap', '--name', 'app', '--apply', plan.answer.plans[0]?.digest ?? ''] as const),
    );
    expect([done.code, done.answer.kept]).toEqual([0, []]);

    const keyring = join(place.data, 'keyring');
    const old = ['backup-recovery.key', 'backup-drill.key'];
    for (const name of old) renameSync(join(keyring, name), join(place.dir, name));
    const restored = join(place.dir, 'restored.db');
    const withNew = await factory(place, 'restore', '--name', 'app', '--to', restored);
    expect([withNew.code, readFileSync(restored).includes('here')]).toEqual([0, true]);
    const withOld = await factoryJson<{ error: { code: string } }>(
      ...([place, 'restore', '--name', 'app', '--to', `${restored}2`, '--identity', old[0] ?? ''] as const),
    );
    expect([withOld.code, withOld.answer.error.code]).toEqual([1, 'identity-wrong']);
  });

  it('leave backups that no key here opens any more verified as far as that goes', async () => {
    const place = newPlace();
    onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
    await factory(place, 'people', 'invite', '--name', 'A', '--role', 'reviewer');
    expect((await factory(place, 'backup')).code).toBe(0);
    const { answer } = await factoryJson<{ plan: { digest: string } }>(place, 'keys', 'rotate');
    expect((await factory(place, 'keys', 'rotate', '--apply', answer.plan.digest)).code).toBe(0);
    for (const name of ['backup-recovery.key', 'backup-drill.key']) rmSync(join(place.data, 'keyring', name));
    const verified = await factoryJson<{
      outcome: string;
      log: string;
      result: { verified: unknown[]; damaged: unknown[]; problems: unknown[]; notRestored: unknown[] };
    }>(...([place, 'jobs', 'run', 'verify'] as const));
    const { outcome, log, result } = verified.answer;
    expect([verified.code, outcome, result.damaged, result.problems]).toEqual([0, 'ok', [], []]);
    expect([result.verified.length, result.notRestored.length]).toEqual([1, 1]);
    expect(log).toContain('`npx factory keys rewrap --identity OLD`');
    const rewrap = await factory(place, 'keys', 'rewrap');
    expect(rewrap.stdout).toMatch(/keys rewrap --from \S+ --identity OLD --apply [0-9a-f]+\nOLD is a file/);
  });

  it('of production are set in its configuration, and the verb says what to do', async () => {
    const env = {
      FACTORY_ENV: 'production',
      FACTORY_BACKUP_RECIPIENTS: [...recipients, ...recipients].join(' '),
    };
    const place = newPlace({ env });
    onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
    const { code, stdout } = await factory(place, 'keys', 'rotate');
    expect([code, stdout]).toEqual([0, expect.stringContaining('Set FACTORY_BACKUP_RECIPIENTS')]);
  });
});
