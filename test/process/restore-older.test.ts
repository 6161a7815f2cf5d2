import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  backup,
  CONFIRM,
  fileOf,
  installation,
  invite,
  json,
  names,
  place,
  run,
  startedAt,
} from './people-backups.ts';
import type { Place } from './service.ts';

/** Nobody gets an older backup than the newest, or somebody else's, without being told. */

interface Failed {
  error: { code: string; message: string; hint: string; backupId?: string };
}
interface Passed {
  backupId: string;
  code: string;
}
interface Plan {
  plan: { backupId: string; command: string | null; confirm: string; passedOver: Passed[] };
}
interface Restored {
  backupId: string;
  passedOver: Passed[];
}

function flip(path: string): void {
  const content = readFileSync(path);
  const at = content.indexOf('"bytes":') + 8;
  content[at] = (content[at] ?? 0) ^ 1;
  writeFileSync(path, content);
}

/** A manifest as a release to come may write it. */
function later(path: string): void {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('build-factory/backup/1', 'build-factory/backup/9'));
}

const SPOILED: [what: string, spoil: (where: Place, id: string) => void, code: string][] = [
  [
    'one bit of its manifest is wrong',
    (where, id) => flip(fileOf(where, id, '.manifest.json')),
    'manifest-forged',
  ],
  ['its data is missing', (where, id) => rmSync(fileOf(where, id, '.sqlite.zst.age')), 'backup-incomplete'],
  ['its key is missing', (where, id) => rmSync(fileOf(where, id, '.key.age')), 'backup-incomplete'],
  ['a newer release wrote it', (where, id) => later(fileOf(where, id, '.manifest.json')), 'manifest-newer'],
];

describe('where the newest backup cannot be used, because', () => {
  it.each(SPOILED)(
    '%s, an older one is named as such, and never put in place unasked',
    async (_what, spoil, code) => {
      const { made, first, second } = await installation();
      spoil(made, second);
      const passed = [expect.objectContaining({ backupId: second, code })];

      const beside = await json(made, 'restore', '--to', 'r.db');
      expect([beside.exit, beside.json<Restored>()]).toEqual([
        3,
        expect.objectContaining({ backupId: first, passedOver: passed }),
      ]);
      const plan = await json(made, 'restore', '--in-place', '--plan');
      expect([plan.exit, plan.json<Plan>().plan]).toEqual([
        3,
        expect.objectContaining({ backupId: first, passedOver: passed }),
      ]);
      expect((await run(made, 'restore', '--in-place', '--plan')).stdout).toContain(`Passed over, because`);

      const refused = await json(made, 'restore', '--in-place', '--confirm', CONFIRM);
      const { error } = refused.json<Failed>();
      expect([refused.exit, error]).toEqual([
        4,
        expect.objectContaining({
          code: 'restore-older',
          hint: expect.stringContaining(`--backup ${first}`),
        }),
      ]);
      expect(await names(made)).toBe('ABC');

      const asked = await json(made, 'restore', '--to', 'asked.db', '--backup', second);
      expect([asked.exit, asked.json<Failed>().error.code]).toEqual([1, code]);
      expect(asked.stderr).not.toContain('earlier');

      const named = await json(made, 'restore', '--in-place', '--backup', first, '--confirm', CONFIRM);
      expect([named.exit, named.json<Restored>().backupId]).toEqual([0, first]);
      expect(await names(made)).toBe('A');

      rmSync(fileOf(made, first, '.manifest.json'));
      const alone = await json(made, 'restore', '--to', 'alone.db');
      expect([alone.exit, alone.json<Failed>().error.code]).toEqual([1, code]);
      expect(alone.stderr).not.toContain('earlier');
    },
  );

  it('that destination lost it, the next one gives it, and an older one there is told', async () => {
    const both = place();
    const urls = ['backups', 'second'].map((name) => pathToFileURL(join(both.data, name)).href);
    both.env['FACTORY_BACKUP_DESTINATIONS'] = urls.join(' ');
    await invite(both, 'A');
    const first = await backup(both);
    await invite(both, 'B');
    const second = await backup(both);
    rmSync(fileOf(both, second, '.sqlite.zst.age'));
    const whole = await json(both, 'restore', '--to', 'whole.db');
    expect([whole.exit, whole.json<Restored>()]).toEqual([
      3,
      expect.objectContaining({ backupId: second, passedOver: [] }),
    ]);
    for (const end of ['.manifest.json', '.sqlite.zst.age', '.key.age'])
      rmSync(fileOf(both, second, end, 'second'));
    const older = await json(both, 'restore', '--to', 'older.db');
    expect([older.exit, older.json<Restored>()]).toEqual([
      3,
      expect.objectContaining({
        backupId: first,
        passedOver: [expect.objectContaining({ backupId: second })],
      }),
    ]);
    const refused = await json(both, 'restore', '--in-place', '--confirm', CONFIRM);
    expect([refused.exit, refused.json<Failed>().error.code]).toEqual([4, 'restore-older']);
  });

  it('a time before it is asked for, nothing was passed over', async () => {
    const { made, first, second } = await installation();
    // In the same second the name does not tell the order.
    const moved = fileOf(made, second.replace(/\d{8}T\d{6}Z/, '29990101T000000Z'), '.manifest.json');
    writeFileSync(moved, 'no manifest');
    const ran = await json(made, 'restore', '--to', 'r.db', '--at', startedAt(made, first));
    expect([ran.exit, ran.json<Restored>()]).toEqual([
      0,
      expect.objectContaining({ backupId: first, passedOver: [] }),
    ]);
  });
});

describe('a plan in place', () => {
  it('names the command that restores what it showed, also where a backup comes between', async () => {
    const { made, second } = await installation();
    const { plan } = (await json(made, 'restore', '--in-place', '--plan')).json<Plan>();
    expect(plan.backupId).toBe(second);
    expect(plan.command).toContain(`--in-place --backup ${second} --confirm ${CONFIRM}`);
    expect((await run(made, 'restore', '--in-place', '--plan')).stdout).toContain(plan.command);
    await backup(made);
    const words = (plan.command ?? '').split(' ');
    const ran = await json(made, ...words.slice(words.indexOf('restore')));
    expect([ran.exit, ran.json<Restored>().backupId]).toEqual([0, second]);
    expect(await names(made)).toBe('AB');
  });

  it('is not needed: the newest is taken then, and named', async () => {
    const { made } = await installation();
    const third = await backup(made);
    const ran = await run(made, 'restore', '--in-place', '--confirm', CONFIRM);
    expect([ran.exit, ran.stdout]).toEqual([0, expect.stringContaining(third)]);
  });
});

describe('an earlier backup', () => {
  it('is not promised where it cannot help', async () => {
    const { made } = await installation();
    const wrong = join(made.dir, 'wrong.key');
    expect((await run(made, 'keys', 'new', '--out', wrong)).exit).toBe(0);
    const closed = await json(made, 'restore', '--to', 'r.db', '--identity', wrong);
    expect([closed.exit, closed.json<Failed>().error.code]).toEqual([1, 'identity-wrong']);
    expect(closed.stderr).not.toContain('Asking');
    const endpoint = encodeURIComponent('http://127.0.0.1:9');
    const from = `s3://backups/p?endpoint=${endpoint}&region=eu&forcePathStyle=true`;
    const keys = { AWS_ACCESS_KEY_ID: 'k', AWS_SECRET_ACCESS_KEY: 's', FACTORY_BACKUP_GIVE_UP_SECONDS: '1' };
    const dead = { ...made, env: { ...made.env, ...keys } };
    const ran = await json(dead, 'restore', '--to', 'r.db', '--from', from);
    expect([ran.exit, ran.json<Failed>().error.code]).toEqual([1, 'destination-failed']);
    expect(ran.stderr).not.toContain('Asking');
  });
});

describe('whose backups count', () => {
  it('is what was named, or the own key, and nobody else even where they are alone', async () => {
    const { made } = await installation();
    const from = ['--from', pathToFileURL(join(made.data, 'backups')).href];
    const identity = ['--identity', join(made.data, 'keyring/backup-recovery.key')];
    const { signer } = (await json(made, 'keys', 'show')).json<{
      signer: { publicKey: string; fingerprint: string };
    }>();
    const bare = place();
    const to = (name: string) => ['restore', ...from, ...identity, '--to', name];
    const stranger = Buffer.alloc(32, 7).toString('base64');
    const other = await json(bare, ...to('a.db'), '--trust', stranger);
    expect([other.exit, other.json<Failed>().error.code]).toEqual([4, 'signer-unknown']);
    for (const [n, trusted] of [signer.publicKey, signer.fingerprint].entries())
      expect((await run(bare, ...to(`b${n}.db`), '--trust', trusted)).exit).toBe(0);
    const unnamed = await run(bare, ...to('c.db'));
    expect([unnamed.exit, unnamed.stderr]).toEqual([0, expect.stringContaining(signer.fingerprint)]);
    expect(unnamed.stderr.match(/Signed by/g)).toHaveLength(1);

    for (const words of [to('d.db'), ['keys', 'restore', ...from, ...identity]]) {
      const typo = await json(bare, ...words, '--trust', 'abcd');
      expect([typo.exit, typo.json<Failed>().error.code]).toEqual([2, 'usage']);
    }
    // With a key of its own, it takes its own.
    mkdirSync(bare.data, { recursive: true });
    await invite(bare, 'X');
    await backup(bare);
    const owned = await json(bare, ...to('e.db'));
    expect([owned.exit, owned.json<Failed>().error.code]).toEqual([4, 'signer-unknown']);
    expect(readdirSync(bare.dir).filter((name) => /^[ade]\.db/.test(name))).toEqual([]);
  });
});

describe('a place that is named twice', () => {
  it.each([['restore', '--to', 'r.db'], ['observe'], ['drill']])('is a mistake: %s', async (...words) => {
    const ran = await json(place(), ...words, '--from', 'file:///a', '--from', 'file:///b');
    const { error } = ran.json<Failed>();
    expect([ran.exit, error.code, error.message]).toEqual([2, 'usage', expect.stringContaining('twice')]);
  });
});
