import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { backup, CONFIRM, fileOf, invite, json, names, place, run, startedAt } from './people-backups.ts';
import type { Place } from './service.ts';

/** Of several destinations a restore takes the best backup of all, in whichever it lies. */

interface Told {
  backupId: string;
  from: string;
  passedOver: { backupId: string; code: string }[];
  notFrom: { destination: string; code: string }[];
}
interface Failed {
  error: { code: string; message: string; hint: string };
}

const FOLDERS = ['one', 'two'] as const;
const PARTS = ['.manifest.json', '.sqlite.zst.age', '.pages.zst.age', '.key.age'];

function remove(where: Place, backupId: string, folder: string): void {
  for (const part of PARTS) rmSync(fileOf(where, backupId, part, folder), { force: true });
}

function flip(path: string): void {
  const content = readFileSync(path);
  const at = content.length - 100;
  content[at] = (content[at] ?? 0) ^ 1;
  writeFileSync(path, content);
}

/** What a folder is that cannot be read. */
function breakOff(where: Place, folder: string): void {
  renameSync(join(where.data, folder), join(where.data, `${folder}-away`));
  writeFileSync(join(where.data, folder), '');
}

/** Three backups with A, AB and ABC, and D in the database alone; the first destination missed the last two. */
async function installation() {
  const made = place();
  const urls = FOLDERS.map((name) => pathToFileURL(join(made.data, name)).href);
  made.env['FACTORY_BACKUP_DESTINATIONS'] = urls.join(' ');
  const ids: string[] = [];
  for (const name of ['A', 'B', 'C']) {
    await invite(made, name);
    ids.push(await backup(made));
  }
  await invite(made, 'D');
  const [first, second, third] = ids as [string, string, string];
  for (const id of [second, third]) remove(made, id, 'one');
  return { made, first, second, third, one: urls[0] as string, two: urls[1] as string };
}

const TO = ['--to', 'r.db'];
const IN_PLACE = ['--in-place', '--confirm', CONFIRM];

/** What a restore to a file and the plans say; nothing is kept of it. */
async function told(made: Place, ...words: string[]): Promise<[exit: number, told: Told][]> {
  const all: [number, Told][] = [];
  for (const how of [[...TO, '--plan'], ['--in-place', '--plan'], TO]) {
    const ran = await json(made, 'restore', ...how, ...words);
    const answer = ran.json<{ plan?: Told } & Told>();
    all.push([ran.exit, answer.plan ?? answer]);
  }
  rmSync(join(made.dir, 'r.db'), { force: true });
  return all;
}

const each = (exit: number, what: Partial<Told>) =>
  Array.from({ length: 3 }, () => [exit, expect.objectContaining(what)]);

describe('where the first destination missed the last backups', () => {
  it('the newest of all is taken, planned and put in place, and nothing was passed over', async () => {
    const { made, third, two } = await installation();
    const whole = { backupId: third, passedOver: [], notFrom: [] };
    expect(await told(made)).toEqual(each(0, whole));
    const plan = await json(made, 'restore', '--in-place', '--plan');
    expect(plan.json<{ plan: Told }>().plan.from).toBe(two);
    const done = await json(made, 'restore', ...IN_PLACE);
    expect([done.exit, done.json<Told>()]).toEqual([0, expect.objectContaining(whole)]);
    expect(await names(made)).toBe('ABC');
  });

  it('a time between is found, and one after the last of all is an error that names it', async () => {
    const { made, first, second, third } = await installation();
    expect(await told(made, '--at', startedAt(made, second, 'two'))).toEqual(
      each(0, { backupId: second, passedOver: [], notFrom: [] }),
    );
    // The first destination has nothing of that time, nor of any other.
    remove(made, first, 'one');
    const notFrom = [expect.objectContaining({ code: 'destination-emptied' })];
    expect(await told(made, '--at', startedAt(made, first, 'two'))).toEqual(
      each(3, { backupId: first, notFrom }),
    );
    const last = startedAt(made, third, 'two');
    for (const how of [[...TO, '--plan'], TO, ['--in-place', '--plan'], IN_PLACE]) {
      const ran = await json(made, 'restore', ...how, '--at', new Date().toISOString());
      const { error } = ran.json<Failed>();
      expect([how, ran.exit, error.code]).toEqual([how, 1, 'backup-after-last']);
      expect(error.message).toContain(last);
      expect(error.hint).toMatch(/Leave --at out .*--backup ID/);
    }
    expect(existsSync(join(made.dir, 'r.db'))).toBe(false);
    expect(await names(made)).toBe('ABCD');
  });

  it('one that the second alone has is taken by its id, and nothing is said of the first', async () => {
    const { made, second } = await installation();
    expect(await told(made, '--backup', second)).toEqual(each(0, { backupId: second, notFrom: [] }));
    const ran = await run(made, 'restore', ...TO, '--backup', second);
    expect([ran.exit, ran.stderr]).toEqual([0, expect.not.stringContaining(second)]);
    const unknown = await json(made, 'restore', ...IN_PLACE, '--backup', '000099');
    expect([unknown.exit, unknown.json<Failed>().error.code]).toEqual([1, 'backup-unknown']);
  });

  it('a damaged one is passed over by name for the next best, wherever that lies', async () => {
    const { made, first, second, third } = await installation();
    flip(fileOf(made, third, '.sqlite.zst.age', 'two'));
    const passed = [expect.objectContaining({ backupId: third, code: 'backup-damaged' })];
    expect(await told(made)).toEqual(each(3, { backupId: second, passedOver: passed, notFrom: [] }));
    flip(fileOf(made, second, '.sqlite.zst.age', 'two'));
    passed.push(expect.objectContaining({ backupId: second }));
    expect(await told(made)).toEqual(each(3, { backupId: first, passedOver: passed, notFrom: [] }));
    const refused = await json(made, 'restore', ...IN_PLACE);
    const { error } = refused.json<Failed>();
    expect([refused.exit, error.code]).toEqual([4, 'restore-older']);
    expect(error.hint).toContain(`--backup ${first}`);
    expect(await names(made)).toBe('ABCD');
    // One that the first destination never had is not told of it.
    const ran = await run(made, 'restore', ...TO);
    expect(ran.stderr).not.toContain(third);
  });
});

describe('a destination that', () => {
  it('is not mounted is no empty one: it is named, and the other one answers', async () => {
    const { made, first, two } = await installation();
    renameSync(join(made.data, 'two'), join(made.data, 'two-away'));
    const notFrom = [expect.objectContaining({ destination: two, code: 'destination-missing' })];
    expect(await told(made)).toEqual(each(3, { backupId: first, notFrom }));
    expect(existsSync(join(made.data, 'two'))).toBe(false);
  });

  it('is named with a slash at its end, or two in it, is the same one', async () => {
    const { made, third } = await installation();
    for (const written of ['one/ two/', '/one two//', 'one two/']) {
      const urls = written.split(' ').map((name) => `${pathToFileURL(made.data).href}/${name}`);
      made.env['FACTORY_BACKUP_DESTINATIONS'] = urls.join(' ');
      expect(await told(made)).toEqual(each(0, { backupId: third, passedOver: [], notFrom: [] }));
    }
    const listed = (await json(made, 'backups', 'list')).json<{
      problems: { code: string }[];
      backups: unknown[];
    }>();
    // Two were taken out of the one.
    expect([listed.problems.map(({ code }) => code), listed.backups.length]).toEqual([
      ['backup-vanished'],
      4,
    ]);
  });

  it('cannot be read is named, and the other one answers', async () => {
    const { made, first, third, one, two } = await installation();
    breakOff(made, 'one');
    const notFrom = (url: string) => [expect.objectContaining({ destination: url })];
    expect(await told(made)).toEqual(each(3, { backupId: third, passedOver: [], notFrom: notFrom(one) }));
    const ran = await run(made, 'restore', ...TO);
    expect([ran.exit, ran.stderr]).toEqual([3, expect.stringContaining(`${one} cannot be read`)]);
    expect(ran.stdout).toContain(`Not from ${one}`);
    rmSync(join(made.data, 'one'));
    renameSync(join(made.data, 'one-away'), join(made.data, 'one'));
    rmSync(join(made.dir, 'r.db'));
    // It would be the newest that this one has: somebody has to be told that there may be others.
    breakOff(made, 'two');
    expect(await told(made)).toEqual(each(3, { backupId: first, notFrom: notFrom(two) }));
    breakOff(made, 'one');
    const none = await json(made, 'restore', ...TO);
    expect([none.exit, none.json<Failed>().error.code]).toEqual([1, expect.stringMatching(/^destination-/)]);
  });

  it('has a damaged copy of what another one gives whole is named', async () => {
    const { made, first, second, third, one, two } = await installation();
    for (const id of [second, third]) remove(made, id, 'two');
    flip(fileOf(made, first, '.sqlite.zst.age', 'one'));
    const notFrom = [expect.objectContaining({ destination: one, code: 'backup-damaged' })];
    expect(await told(made)).toEqual(each(3, { backupId: first, passedOver: [], notFrom }));
    const ran = await json(made, 'restore', ...IN_PLACE);
    expect([ran.exit, ran.stderr]).toEqual([3, expect.stringContaining(`Asking ${two}`)]);
    expect(ran.json<Told>()).toMatchObject({ backupId: first, notFrom: [{ destination: one }] });
    expect(await names(made)).toBe('A');
  });
});
