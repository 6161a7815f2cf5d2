import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { backup, CONFIRM, invite, json, names, place, run } from './people-backups.ts';
import type { Place } from './service.ts';

/** The last backup lay in one destination alone, which was away when a restore in place began a new epoch. */

interface Plan {
  plan: {
    backupId: string;
    base: string | null;
    putAside: { code: string } | null;
    command: string;
    blockers: unknown[];
  };
}
interface Listed {
  backups: { backupId: string }[];
  problems: { key: string; code: string }[];
}
interface Failed {
  error: { code: string; hint: string };
}

const listed = async (where: Place): Promise<Listed> => (await json(where, 'backups', 'list')).json();

/** A lies in both destinations, B in `far` alone, and `far` was away when A was put in place. */
async function putAside(last: (where: Place) => Promise<string>) {
  const made = place();
  const [near, far, away] = ['near', 'far', 'away'].map((name) => join(made.dir, name)) as [
    string,
    string,
    string,
  ];
  const urls = [near, far].map((path) => pathToFileURL(path).href);
  made.env['FACTORY_BACKUP_DESTINATIONS'] = urls.join(' ');
  await invite(made, 'A');
  await backup(made);
  await invite(made, 'B');
  made.env['FACTORY_BACKUP_DESTINATIONS'] = urls[1] ?? '';
  const id = await last(made);
  made.env['FACTORY_BACKUP_DESTINATIONS'] = urls.join(' ');
  renameSync(far, away);
  // As on a new host, which has the keyring and remembers no number.
  rmSync(join(made.data, 'backup'), { recursive: true });
  expect((await run(made, 'restore', '--in-place', '--confirm', CONFIRM)).exit).toBe(3);
  expect(await names(made)).toBe('A');
  rmSync(far, { recursive: true, force: true });
  renameSync(away, far);
  const { report } = (await json(made, 'restore', '--accept')).json<{ report: { digest: string } }>();
  expect((await run(made, 'restore', '--accept', report.digest)).exit).toBe(0);
  await backup(made);
  const { backups, problems } = await listed(made);
  expect(backups.map(({ backupId }) => backupId)).not.toContain(id);
  expect(problems).toContainEqual(
    expect.objectContaining({ key: `${id}.manifest.json`, code: 'backup-fenced' }),
  );
  return { made, id };
}

it('is put in place by its whole id, after a plan that says what it is', async () => {
  const { made, id } = await putAside(backup);
  // The newest is another one, and neither an unnamed restore nor the end of its id takes it.
  const newest = (await json(made, 'restore', '--in-place', '--plan')).json<Plan>().plan;
  expect([newest.backupId === id, newest.putAside]).toEqual([false, null]);
  const end = id.split('/').at(-1) ?? '';
  const short = await json(made, 'restore', '--in-place', '--backup', end, '--confirm', CONFIRM);
  expect([short.exit, short.json<Failed>().error]).toMatchObject([
    1,
    { code: 'backup-fenced', hint: expect.stringContaining('whole id') },
  ]);
  const { plan } = (await json(made, 'restore', '--in-place', '--backup', id, '--plan')).json<Plan>();
  expect(plan).toMatchObject({ backupId: id, putAside: { code: 'backup-fenced' }, blockers: [] });
  expect(plan.command).toContain(`--backup ${id}`);
  const text = await run(made, 'restore', '--in-place', '--backup', id, '--plan');
  expect(text.stdout.replace(/\s+/g, ' ')).toMatch(
    /Put aside.*in epoch 0 after epoch 1 had begun.*destination that was away/,
  );
  expect((await run(made, 'restore', '--in-place', '--backup', id)).exit).toBe(4);
  expect(await names(made)).toBe('A');

  const done = await run(made, 'restore', '--in-place', '--backup', id, '--confirm', CONFIRM);
  expect([done.exit, done.stderr]).toEqual([0, expect.stringContaining('Put aside, and named')]);
  expect(await names(made)).toBe('AB');
  // What is made from now on counts, and comes before all that was there.
  await invite(made, 'C');
  const next = await backup(made);
  const counting = await listed(made);
  expect(counting.backups.at(-1)?.backupId).toBe(next);
  expect((await run(made, 'verify-audit')).exit).toBe(0);
  const to = (await json(made, 'restore', '--to', 'newest.db')).json<{ backupId: string }>();
  expect(to.backupId).toBe(next);
  expect((await run(made, 'restore', '--undo', '--confirm', CONFIRM)).exit).toBe(0);
  expect(await names(made)).toBe('A');
});

it('is a differential: what it rests on was put aside with it, and comes with it', async () => {
  const { made, id } = await putAside(async (where) => {
    await backup(where);
    await invite(where, 'D');
    const ran = await json(where, 'backup');
    expect(ran.json<{ kind: string }>().kind).toBe('differential');
    return ran.json<{ backupId: string }>().backupId;
  });
  const done = await run(made, 'restore', '--in-place', '--backup', id, '--confirm', CONFIRM);
  expect([done.exit, await names(made)]).toEqual([0, 'ABD']);
});
