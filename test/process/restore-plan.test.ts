import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  backup,
  CONFIRM,
  fileOf,
  installation,
  json,
  names,
  place,
  run,
  startedAt,
} from './people-backups.ts';
import { attached, randomText } from './attached.ts';
import { serve } from './service.ts';
import type { Place } from './service.ts';

/** A plan shows what the restore does, and what keeps it from being done. */

interface Blocker {
  code: string;
  hint: string;
}
interface Plan {
  plan: {
    backupId: string;
    command: string | null;
    blockers: Blocker[];
    passedOver: { backupId: string; code: string }[];
    signedBy: string;
    signerKnown: boolean;
  };
}
interface Restored {
  backupId: string;
  passedOver: { backupId: string; code: string }[];
}
interface Failed {
  error: { code: string; hint: string };
}

/** One bit of what lies there, far from its beginning. */
function flip(path: string): void {
  const content = readFileSync(path);
  const at = content.length - 100;
  content[at] = (content[at] ?? 0) ^ 1;
  writeFileSync(path, content);
}

const spoilData = (where: Place, id: string): void => flip(fileOf(where, id, '.sqlite.zst.age'));

/** Words of a command that a plan printed. */
function typed({ plan }: Plan): string[] {
  const words = (plan.command ?? '').split(' ');
  return words.slice(words.indexOf('restore'));
}

describe('where the data of the newest is damaged', () => {
  const WANTED: [what: string, args: (where: Place, newest: string) => string[]][] = [
    ['the newest', () => []],
    ['a time', (where, newest) => ['--at', startedAt(where, newest)]],
  ];

  it.each(WANTED)(
    'a restore of %s passes it over by one rule, and its plan already does',
    async (_, wanted) => {
      const { made, first, second } = await installation();
      const at = () => wanted(made, second);
      spoilData(made, second);
      const passed = [expect.objectContaining({ backupId: second, code: 'backup-damaged' })];
      const older = expect.objectContaining({ backupId: first, passedOver: passed });

      const planned = await json(made, 'restore', '--to', 'r.db', ...at(), '--plan');
      expect([planned.exit, planned.json<Plan>().plan]).toEqual([3, older]);
      const beside = await json(made, 'restore', '--to', 'r.db', ...at());
      expect([beside.exit, beside.json<Restored>()]).toEqual([3, older]);

      const unnamed = await json(made, 'restore', '--in-place', ...at(), '--confirm', CONFIRM);
      expect([unnamed.exit, unnamed.json<Failed>().error]).toEqual([
        4,
        expect.objectContaining({
          code: 'restore-older',
          hint: expect.stringContaining(`--backup ${first}`),
          passedOver: [second],
        }),
      ]);
      expect(await names(made)).toBe('ABC');

      const plan = await json(made, 'restore', '--in-place', ...at(), '--plan');
      expect([plan.exit, plan.json<Plan>().plan]).toEqual([3, older]);
      const done = await json(made, ...typed(plan.json<Plan>()));
      expect([done.exit, done.json<Restored>().backupId]).toEqual([0, first]);
      expect(await names(made)).toBe('A');
    },
  );

  it('and of every other one, there is no plan, and the reason is that of the newest', async () => {
    const { made, first, second } = await installation();
    for (const id of [first, second]) spoilData(made, id);
    for (const words of [
      ['--in-place', '--plan'],
      ['--in-place', '--confirm', CONFIRM],
      ['--to', 'r.db'],
    ]) {
      const ran = await json(made, 'restore', ...words);
      expect([words, ran.exit, ran.json<Failed>().error.code]).toEqual([words, 1, 'backup-damaged']);
    }
    expect(await names(made)).toBe('ABC');
  });

  it('another destination that has it whole gives it, in place as well', async () => {
    const made = place();
    const urls = ['backups', 'second'].map((name) => pathToFileURL(join(made.data, name)).href);
    made.env['FACTORY_BACKUP_DESTINATIONS'] = urls.join(' ');
    await run(made, 'people', 'invite', '--name', 'A', '--role', 'reviewer');
    await backup(made);
    await run(made, 'people', 'invite', '--name', 'B', '--role', 'reviewer');
    const second = await backup(made);
    spoilData(made, second);
    const plan = await json(made, 'restore', '--in-place', '--plan');
    expect([plan.exit, plan.json<Plan>().plan]).toEqual([
      3,
      expect.objectContaining({ backupId: second, from: urls[1], passedOver: [] }),
    ]);
    const done = await json(made, 'restore', '--in-place', '--confirm', CONFIRM);
    expect([done.exit, done.json<Restored>()]).toEqual([
      3,
      expect.objectContaining({ backupId: second, passedOver: [] }),
    ]);
  });
});

describe('what stands in the way', () => {
  async function blockers(where: Place, ...words: string[]): Promise<[exit: number, codes: string[]]> {
    const ran = await json(where, 'restore', ...words, '--plan');
    const text = await run(where, 'restore', ...words, '--plan');
    expect([text.exit, text.stdout.match(/^In the way: /gm) ?? []]).toEqual([
      ran.exit,
      ran.json<Plan>().plan.blockers.map(() => 'In the way: '),
    ]);
    return [ran.exit, ran.json<Plan>().plan.blockers.map(({ code }) => code)];
  }

  it('of a file that exists, a folder that does not, a key that is not here', async () => {
    const { made } = await installation();
    expect(await blockers(made, '--to', 'r.db')).toEqual([0, []]);
    writeFileSync(join(made.dir, 'there.db'), '');
    expect(await blockers(made, '--to', 'there.db')).toEqual([4, ['restore-target-exists']]);
    expect((await run(made, 'restore', '--to', 'there.db')).exit).toBe(4);
    expect(await blockers(made, '--to', 'nowhere/r.db')).toEqual([4, ['restore-folder-missing']]);
    const keyless = { ...made, env: { ...made.env, FACTORY_KEYRING_DIR: join(made.dir, 'bare') } };
    mkdirSync(join(made.dir, 'bare'));
    expect(await blockers(keyless, '--to', 'there.db')).toEqual([
      4,
      ['identity-missing', 'restore-target-exists'],
    ]);
  });

  it('of room that is not there', async () => {
    const { made } = await installation();
    // A file system of the kernel, which has none to give.
    expect(await blockers(made, '--to', '/proc/r.db')).toEqual([4, ['restore-space']]);
  });

  it('of a database in place: whoever has it open; its restore and undo say the same', async () => {
    const { made } = await installation();
    expect(await blockers(made, '--in-place')).toEqual([0, []]);
    expect(await blockers(made, '--in-place', '--new-log-key')).toEqual([4, ['log-key-exists']]);
    expect((await run(made, 'restore', '--in-place', '--confirm', CONFIRM)).exit).toBe(0);
    const service = await serve(made);
    onTestFinished(() => service.kill());
    expect(await blockers(made, '--in-place')).toEqual([4, ['database-in-use']]);
    expect(await blockers(made, '--undo')).toEqual([4, ['database-in-use']]);
    const undone = await json(made, 'restore', '--undo', '--confirm', CONFIRM);
    expect([undone.exit, undone.json<Failed>().error.code]).toEqual([4, 'database-in-use']);
    await service.stop();
    expect(await blockers(made, '--undo')).toEqual([0, []]);
  });

  it('of a machine that has nothing: a signer that nobody compared, and the keys of the log', async () => {
    const { made } = await installation();
    const bare = place();
    cpSync(join(made.data, 'keyring/backup-recovery.key'), join(bare.dir, 'recovery.key'));
    const from = pathToFileURL(join(made.data, 'backups')).href;
    const words = ['--in-place', '--from', from, '--identity', join(bare.dir, 'recovery.key')];
    expect(await blockers(bare, ...words)).toEqual([4, ['signer-unknown', 'log-key-missing']]);
    const { plan } = (await json(bare, 'restore', ...words, '--plan')).json<Plan>();
    expect(await blockers(bare, ...words, '--trust', plan.signedBy, '--new-log-key')).toEqual([0, []]);
    const keyless = ['restore', '--in-place', '--from', from, '--plan'];
    const { plan: unopened } = (await json(bare, ...keyless)).json<Plan>();
    expect(unopened.command).toContain('--identity FILE');
    // What the plan prints goes on as it is typed.
    const text = await run(bare, 'restore', ...words, '--plan');
    expect(text.stdout).toMatch(/First compare the key .*--new-log-key out\.\n.*--in-place/);
    expect(text.stdout).toContain(plan.command);
    expect((await json(bare, ...typed({ plan }))).exit).toBe(0);
    expect(await names(bare)).toBe('AB');
  });
});

describe('who signed', () => {
  it('is said once, and only where somebody has to compare it', async () => {
    const { made } = await installation();
    const told = async (where: Place, ...words: string[]): Promise<number> => {
      const { stdout, stderr } = await run(where, 'restore', ...words);
      return (stdout + stderr).match(/signed by/gi)?.length ?? 0;
    };
    expect(await told(made, '--to', 'a.db')).toBe(0);
    expect(await told(made, '--to', 'b.db', '--plan')).toBe(0);
    expect(await told(made, '--in-place', '--plan')).toBe(0);
    const bare = place();
    cpSync(join(made.data, 'keyring/backup-recovery.key'), join(bare.dir, 'recovery.key'));
    rmSync(join(made.data, 'keyring'), { recursive: true });
    const from = ['--from', pathToFileURL(join(made.data, 'backups')).href];
    const words = [...from, '--identity', join(bare.dir, 'recovery.key'), '--to'];
    expect(await told(bare, ...words, 'a.db', '--plan')).toBe(1);
    expect(await told(bare, ...words, 'a.db')).toBe(1);
    const { plan } = (await json(bare, 'restore', ...words, 'b.db', '--plan')).json<Plan>();
    expect(await told(bare, ...words, 'b.db', '--trust', plan.signedBy)).toBe(0);
  });
});

it('counts the attachments that have to be fetched', async () => {
  const where = place();
  await attached(where, async ({ add }) => [await add(randomText(4000)), await add(randomText(20_000))]);
  await backup(where);
  const blobs = readdirSync(join(where.data, 'blobs'), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name));
  const all = blobs.reduce((sum, path) => sum + statSync(path).size, 0);
  interface Counted {
    plan: { fetchBytes: number; attachments: { count: number; bytes: number } };
  }
  const planned = async (...words: string[]) =>
    (await json(where, 'restore', ...words, '--plan')).json<Counted>().plan;
  const inPlace = await planned('--in-place');
  const beside = await planned('--to', 'new.db');
  expect([inPlace.attachments, beside.attachments]).toEqual([
    { count: 0, bytes: 0 },
    { count: 2, bytes: all },
  ]);
  expect(beside.fetchBytes - inPlace.fetchBytes).toBe(all);
  const [lost = ''] = blobs;
  const bytes = statSync(lost).size;
  rmSync(lost);
  expect((await planned('--in-place')).attachments).toEqual({ count: 1, bytes });
  expect((await run(where, 'restore', '--in-place', '--plan')).stdout).toMatch(
    /, and 1 attachment, [\d.]+ kB/,
  );
});
