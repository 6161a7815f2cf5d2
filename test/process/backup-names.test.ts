import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { factory } from '../scripts/cli.ts';
import type { Ran } from '../scripts/cli.ts';
import { APP, NAMED, newPairs } from './pairs.ts';
import type { Made } from './pairs.ts';
import { newPlace } from './service.ts';
import type { Place } from './service.ts';

/** A name or a place that holds nothing of what is asked for is never an empty success. */

const WRONG = ['--name', 'ap'];
const run = ({ dir, env }: Place, ...args: string[]): Promise<Ran> => factory(dir, [...args, '--json'], env);

interface Failed {
  error: { code: string; message: string; hint: string; otherNames?: string[] };
}
interface Verified {
  verified: { destination: string; backupId: string }[];
  problems: { destination: string; code: string }[];
}
interface Listed {
  backups: { destination: string }[];
  destinations: { otherNames: string[] }[];
}

/** One backup of `app`. */
async function installation() {
  const { place } = newPairs(20, "'a note'");
  const { backupId } = (await run(place, 'backup', ...APP)).json<Made>();
  return { place, backupId, url: pathToFileURL(join(place.data, 'backups')).href };
}

describe('a misspelt name', () => {
  it('is an error of every verb that reads backups, and the names that there are stand in it', async () => {
    const { place, url } = await installation();
    const VERBS: string[][] = [
      ['backups', 'list'],
      ['backups', 'verify'],
      ['backups', 'verify', '--all'],
      ['backups', 'prune'],
      ['keys', 'rewrap'],
      ['restore', '--to', 'r.db'],
      ['restore', '--to', 'r.db', '--plan'],
      ['restore', '--to', 'r.db', '--at', new Date().toISOString()],
      ['restore', '--to', 'r.db', '--backup', '000001'],
    ];
    for (const words of VERBS) {
      const ran = await run(place, ...words, ...WRONG);
      const { error } = ran.json<Failed>();
      expect([words, ran.exit, error.code, error.otherNames]).toEqual([words, 1, 'backup-none', ['app']]);
      expect([error.message, error.hint]).toEqual([
        expect.stringContaining(`no backup of ap in ${url}, but of: app`),
        expect.stringContaining('--name'),
      ]);
    }
    const seen = await run(place, 'observe', '--from', url, ...WRONG);
    expect([seen.exit, seen.stdout]).toEqual([1, expect.stringContaining('but of: app')]);
    const boot = ['--boot', 'true', '--check', 'http://127.0.0.1:{port}/'];
    const drill = await run(place, 'drill', ...WRONG, ...boot);
    expect([drill.exit, drill.stdout]).toEqual([1, expect.stringContaining('but of: app')]);
  });

  it('is none where nothing was said: the list says what else is there', async () => {
    const { place } = await installation();
    const listed = await run(place, 'backups', 'list');
    expect([listed.exit, listed.json<Listed>().destinations[0]?.otherNames]).toEqual([0, ['app']]);
    const text = await factory(place.dir, ['backups', 'list'], place.env);
    expect(text.stdout).toContain('no backup of factory yet; of others: app (--name)');
    const right = await run(place, 'backups', 'list', ...NAMED);
    expect(right.json<Listed>().destinations[0]?.otherNames).toEqual([]);
  });

  it('is not told from a name to come where nothing is there at all', async () => {
    const { place } = await installation();
    mkdirSync(join(place.dir, 'empty'));
    const from = ['--from', pathToFileURL(join(place.dir, 'empty')).href];
    const restored = await run(place, 'restore', '--to', 'r.db', ...WRONG, ...from);
    expect([restored.exit, restored.json<Failed>().error.code]).toEqual([1, 'backup-none']);
  });
});

describe('a place that holds nothing', () => {
  const VERBS = [['list'], ['prune'], ['verify']];

  it.each(VERBS)('is an error of backups %s where somebody named it', async (verb) => {
    const { place, url } = await installation();
    const at = (name: string): string[] => ['--from', pathToFileURL(join(place.dir, name)).href];
    mkdirSync(join(place.dir, 'empty'));
    const empty = await run(place, 'backups', verb, ...at('empty'));
    expect([empty.exit, empty.json<Failed>().error]).toEqual([
      1,
      expect.objectContaining({
        ...{ code: 'backup-none', message: expect.stringContaining('There is no backup in file:') },
        hint: expect.stringContaining('Check the address'),
      }),
    ]);
    const missing = await run(place, 'backups', verb, ...at('missing'));
    expect([missing.exit, missing.json<Failed>().error]).toEqual([
      1,
      expect.objectContaining({
        ...{ code: 'backup-none', message: expect.stringContaining('There is no folder file:') },
        hint: expect.stringContaining('Check the address'),
      }),
    ]);
    const text = await factory(place.dir, ['backups', verb, ...at('missing')], place.env);
    expect([text.exit, text.stderr]).toEqual([1, expect.stringContaining('There is no folder file:')]);
    // One of two is enough for a word.
    const both = ['--from', `${url} ${at('empty')[1]}`, ...NAMED];
    const half = await run(place, 'backups', verb, ...both);
    expect([
      half.exit,
      half.json<{ problems: { code: string }[] }>().problems.map(({ code }) => code),
    ]).toEqual([3, ['backup-none']]);
  });

  it('is as it should be before the first backup, and the list says what makes one', async () => {
    const place = newPlace();
    onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
    const json = await run(place, 'backups', 'list');
    const hint = expect.stringMatching(/^`.* backup` makes the first one\.$/);
    expect([json.exit, json.json()]).toEqual([
      0,
      expect.objectContaining({ problems: [], destinations: [expect.objectContaining({ hint })] }),
    ]);
    const text = await factory(place.dir, ['backups', 'list'], place.env);
    expect(text.stdout).toMatch(/no backup of factory yet\n {2}`.* backup` makes the first one\./);
    expect((await run(place, 'backups', 'prune')).exit).toBe(0);
  });

  it.each(VERBS)('is named by backups %s where backups were sent there, or lie elsewhere', async (verb) => {
    const { place, url } = await installation();
    const missing = pathToFileURL(join(place.dir, 'missing')).href;
    const wanted = expect.objectContaining({
      ...{ code: 'destination-missing', destination: missing },
      hint: expect.stringContaining('Mount it'),
    });
    const env = { ...place.env, FACTORY_BACKUP_DESTINATIONS: `${url} ${missing}` };
    const beside = await run({ ...place, env }, 'backups', verb, ...NAMED);
    expect([beside.exit, beside.json<{ problems: unknown[] }>().problems]).toEqual([3, [wanted]]);
    renameSync(fileURLToPath(url), join(place.dir, 'unmounted'));
    const alone = await run(place, 'backups', verb, ...NAMED);
    expect([alone.exit, alone.json<{ problems: { code: string }[] }>().problems[0]?.code]).toEqual([
      1,
      'destination-emptied',
    ]);
  });
});

describe('a backup that one destination lacks', () => {
  it('is verified in the others, and each is reported', async () => {
    const { place, backupId, url } = await installation();
    const second = pathToFileURL(join(place.dir, 'second')).href;
    // The one that lacks it comes first.
    const both = { ...place, env: { ...place.env, FACTORY_BACKUP_DESTINATIONS: `${second} ${url}` } };
    await run(both, 'backup', '--full', ...APP);
    const ran = await run(both, 'backups', 'verify', backupId, ...NAMED);
    expect([ran.exit, ran.json<Verified>()]).toEqual([
      3,
      expect.objectContaining({
        verified: [{ destination: url, backupId }],
        problems: [expect.objectContaining({ destination: second, code: 'backup-unknown' })],
      }),
    ]);
    const text = await factory(place.dir, ['backups', 'verify', backupId, ...NAMED], both.env);
    expect(text.stdout).toMatch(/^ok {7}.*\nmissing {2}file:.*second/);
    const nowhere = await run(both, 'backups', 'verify', '999999', ...NAMED);
    expect([nowhere.exit, nowhere.json<Failed>().error.code]).toEqual([1, 'backup-unknown']);
  });

  it('or whose objects are gone there says why', async () => {
    const { place, backupId } = await installation();
    rmSync(join(place.data, 'backups', `${backupId}.sqlite.zst.age`));
    const ran = await run(place, 'backups', 'verify', backupId, ...NAMED);
    expect([ran.exit, ran.json<Verified>()]).toEqual([
      1,
      expect.objectContaining({
        verified: [],
        problems: expect.arrayContaining([expect.objectContaining({ code: 'backup-incomplete' })]),
      }),
    ]);
  });
});

it('an address that was typed to be verified and holds nothing is no success', async () => {
  const { place, url } = await installation();
  const nowhere = await run(place, 'backups', 'verify', '--all', '--name', 'app', '--from', `${url}-typo`);
  expect([nowhere.exit, nowhere.json<Failed>().error.code]).toEqual([1, 'backup-none']);
  expect((await run(place, 'backups', 'verify', '--all', '--name', 'app', '--from', `${url}/`)).exit).toBe(0);
});

describe("the product's own name", () => {
  it.each([
    ['given', 'app.db', ['--name', 'factory']],
    ["taken of the file's", 'factory.db', []],
  ])('is not for another application: %s', async (_case, file, words) => {
    const { place } = newPairs(20, "'a note'");
    if (file !== 'app.db') renameSync(join(place.dir, 'app.db'), join(place.dir, file));
    const ran = await run(place, 'backup', '--db', file, ...words);
    expect([ran.exit, ran.json<Failed>().error.code]).toEqual([2, 'usage']);
    expect(ran.json<Failed>().error.message).toContain('own database');
    expect(existsSync(join(place.data, 'backups'))).toBe(false);
  });
});

it('a name is of one application: a file of another one gets none of it', async () => {
  const { place, db } = newPairs(20, "'a note'");
  const backup = () => run(place, 'backup', ...APP, '--full');
  expect((await backup()).exit).toBe(0);
  db.pragma('application_id = 4711');
  const other = await backup();
  expect([other.exit, other.json<Failed>().error.code]).toEqual([1, 'database-other']);
  expect((await run(place, 'backups', 'list', ...NAMED)).json<Listed>().backups).toHaveLength(1);
  db.pragma('application_id = 0');
  expect((await backup()).exit).toBe(0);
  // Where the application itself has another one, as the hint says.
  db.pragma('application_id = 4711');
  rmSync(join(place.data, 'backup/app/state.json'));
  for (let n = 0; n < 2; n += 1) expect((await backup()).exit).toBe(0);
});
