import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import { openRunbook } from '../helpers/runbook.ts';
import { factory, factoryJson, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

/** Every command of the runbooks of a restore, in the state that each is for. */

function place(env: Record<string, string>): Place {
  const made = newPlace({ env: { FACTORY_JOBS: 'off', ...env } });
  onTestFinished(() => rmSync(made.dir, { recursive: true, force: true }));
  return made;
}

/** A backup with A, and B only in the database. */
async function installation(env: Record<string, string> = {}): Promise<Place> {
  const made = place(env);
  await invite(made, 'A');
  expect((await factory(made, 'backup')).code).toBe(0);
  await invite(made, 'B');
  return made;
}

const invite = (where: Place, name: string) =>
  factory(where, 'people', 'invite', '--name', name, '--role', 'reviewer');

async function names(where: Place): Promise<string> {
  const { answer } = await factoryJson<{ people: { name: string }[] }>(where, 'people', 'list');
  return answer.people
    .map(({ name }) => name)
    .filter((name) => name.length === 1)
    .join('');
}

it('restore.md', async () => {
  const made = await installation();
  made.env['HOME'] = made.dir;
  const runbook = openRunbook('runbooks/restore.md');
  const looked = await runbook.run('Look first', made);
  expect(looked[1]?.stdout.trimEnd().split('\n').at(-1)).toContain('--confirm');
  await runbook.run('Put it back', made);
  expect(await names(made)).toBe('A');
  await (await serve(made)).stop();
  const [shown] = await runbook.run('Afterwards', made);
  expect(shown?.stdout).toContain('Queue writes and jobs are paused');
  await runbook.run('It was the wrong backup', made);
  expect(await names(made)).toBe('AB');
  expect(runbook.unrun()).toEqual([]);
});

it('lost-host.md', async () => {
  const shared = place({});
  const url = pathToFileURL(join(shared.dir, 'bucket')).href;
  const env = { FACTORY_BACKUP_DESTINATIONS: url };
  const old = await installation(env);
  const next = place(env);
  cpSync(join(old.data, 'keyring/backup-recovery.key'), join(next.dir, 'recovery.key'));
  cpSync(join(old.data, 'keyring/backup-drill.key'), join(next.dir, 'drill.key'));
  const shell = { dir: next.dir, env: { ...next.env, URL: url } };
  const runbook = openRunbook('runbooks/lost-host.md');
  const [keyring] = await runbook.run('The keyring first', shell);
  expect(keyring?.stdout).toContain('copy the drill key back');
  await runbook.run('Then the database', shell);
  expect(await names(next)).toBe('A');
  await (await serve(next)).stop();
  const { answer } = await factoryJson<{ ok: boolean; notChecked: string[] }>(next, 'verify-audit');
  expect(answer.ok).toBe(true);
  expect(answer.notChecked.join(' ')).not.toContain('commitments was lost');
  const { answer: drift } = await factoryJson<{ report: { digest: string } }>(next, 'restore', '--accept');
  expect((await factory(next, 'restore', '--accept', drift.report.digest)).code).toBe(0);
  expect((await factory(next, 'drill')).code).not.toBe(0);
  await runbook.run('Drills need a key here', shell);
  expect(runbook.unrun()).toEqual([]);
});

/** Made on the operator's machine, which keeps the private halves. */
async function operatorKeys(): Promise<{ dir: string; recipients: string[] }> {
  const yours = place({});
  const recipients: string[] = [];
  for (const name of ['recovery.key', 'drill.key'])
    recipients.push(
      (await factoryJson<{ recipient: string }>(yours, 'keys', 'new', '--out', name)).answer.recipient,
    );
  return { dir: yours.dir, recipients };
}

it.each([
  ['with its .env', true],
  ['whose .env was lost as well', false],
])('lost-host.md brings a production host back %s for the keys of before', async (_case, kept) => {
  const { dir, recipients } = await operatorKeys();
  const url = pathToFileURL(join(place({}).dir, 'bucket')).href;
  const whole = { FACTORY_ENV: 'production', FACTORY_BACKUP_RECIPIENTS: recipients.join(' ') };
  const destination = { FACTORY_BACKUP_DESTINATIONS: url };
  await installation({ ...destination, ...whole });

  const next = place({ ...destination, ...(kept ? whole : {}) });
  cpSync(join(dir, 'recovery.key'), join(next.dir, 'recovery.key'));
  const shell = { dir: next.dir, env: { ...next.env, URL: url } };
  const runbook = openRunbook('runbooks/lost-host.md');
  const [keyring] = await runbook.run('The keyring first', shell);
  const told = `FACTORY_BACKUP_RECIPIENTS=${[...recipients].join(' ')}`;
  if (kept) expect(keyring?.stdout).not.toContain('FACTORY_BACKUP_RECIPIENTS=');
  else expect(keyring?.stdout).toContain(told);
  await runbook.run('Then the database', shell);
  rmSync(join(next.dir, 'recovery.key'));
  await (await serve(next)).stop();

  // What is made from here on is read with the keys that were proven before, and none was made here.
  await invite(next, 'C');
  expect((await factory(next, 'backup', '--full')).code).toBe(0);
  const keys = readdirSync(join(next.data, 'keyring')).filter((name) => name.startsWith('backup-'));
  expect(keys.sort()).toEqual(['backup-recipients.txt', 'backup-signing.pem']);
  for (const key of ['recovery.key', 'drill.key']) {
    const to = join(dir, `${key}.db`);
    const ran = await factory(next, 'restore', '--to', to, '--identity', join(dir, key));
    expect(ran.code).toBe(0);
    const db = new Database(to, { readonly: true });
    expect(db.prepare("select count(*) from people where name in ('A', 'C')").pluck().get()).toBe(2);
    db.close();
  }
});
