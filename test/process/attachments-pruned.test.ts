import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { bucketStore, folderStore } from '../acceptance/backup-store.ts';
import type { Store } from '../acceptance/backup-store.ts';
import { spawned } from '../acceptance/cut.ts';
import { readRows } from '../acceptance/database.ts';
import { startS3 } from '../helpers/s3-double.ts';
import type { S3Double } from '../helpers/s3-double.ts';
import { emptyFolder, factory } from '../scripts/cli.ts';
import { attached, randomText } from './attached.ts';
import { backup, json, place as newInstallation, run } from './people-backups.ts';
import type { Place } from './service.ts';

/** Attachments go from a destination with the last backup that names them. */

const DAY_MS = 86_400_000;

interface Plan {
  delete: string[];
  attachments: { delete: string[]; count: number; bytes: number; refused: string | null };
  digest: string;
  needsPruneKey: boolean;
}
interface Applied {
  applied: { deleted: string[]; attachments: { count: number; bytes: number; kept: string | null } };
  error?: { code: string; hint: string };
}

/** Five backups: the first, which is old, has a file that was deleted since; all have another one. */
async function installation(at: (place: Place) => Promise<Store>) {
  const host = newInstallation();
  mkdirSync(host.data, { recursive: true });
  const store = await at(host);
  onTestFinished(() => store.close());
  const [deleted] = await attached(host, async ({ add }) => [
    await add(randomText()),
    await add(randomText()),
  ]);
  const oldest = await backup(host);
  const first = [...store.objects().keys()].filter((key) => key.startsWith('blobs/'));
  await attached(host, ({ remove }) => remove(deleted as never));
  for (let n = 0; n < 4; n += 1) await backup(host);
  expect((await json(host, 'backups', 'verify', '--all')).exit).toBe(0);
  store.date(oldest, Date.now() - 40 * DAY_MS);
  for (const key of store.objects().keys())
    if (key.startsWith('blobs/')) store.date(key.slice(0, key.lastIndexOf('.')), Date.now() - 39 * DAY_MS);
  return { host, store, oldest, first };
}

const planOf = async (host: Place): Promise<Plan> =>
  (await json(host, 'backups', 'prune')).json<{ plan: Plan }>().plan;
const apply = async (host: Place, digest: string) => {
  const ran = await json(host, 'backups', 'prune', '--apply', digest);
  return { exit: ran.exit, ...ran.json<Applied>() };
};
const blobsIn = (store: Store): string[] => [...store.objects().keys()].filter((key) => /^blobs\//.test(key));

async function assertAllRestore(host: Place, count: number): Promise<void> {
  const { backups } = (await json(host, 'backups', 'list')).json<{ backups: { backupId: string }[] }>();
  expect(backups.length).toBe(count);
  for (const { backupId } of backups) {
    const to = join(emptyFolder(), 'restored.db');
    expect((await json(host, 'restore', '--backup', backupId, '--to', to)).exit).toBe(0);
  }
}

it.each([
  ['a folder', async (place: Place) => folderStore(place)],
  ['a bucket', bucketStore],
])('what was deleted goes from %s with the last backup that has it', { timeout: 120_000 }, async (_, at) => {
  const { host, store, oldest, first } = await installation(at);
  expect(first.length).toBe(3);
  const plan = await planOf(host);
  expect(plan).toMatchObject({ delete: [oldest], attachments: { count: 1, refused: null } });
  const shown = (await run(host, 'backups', 'prune')).stdout;
  expect(shown).toMatch(/delete {2}1 attachment and their lists, [\d.]+ kB: no backup that stays names them/);
  const gone = plan.attachments.delete;
  expect(gone.filter((key) => first.includes(key))).toEqual(gone);
  const before = blobsIn(store);
  const { exit, applied } = await apply(host, plan.digest);
  expect([exit, applied]).toEqual([
    0,
    expect.objectContaining({
      deleted: [oldest],
      attachments: { count: 1, bytes: plan.attachments.bytes, kept: null },
    }),
  ]);
  expect(blobsIn(store).sort()).toEqual(before.filter((key) => !gone.includes(key)).sort());
  await assertAllRestore(host, 4);
  expect((await planOf(host)).attachments.delete).toEqual([]);
});

it(
  'cut off anywhere, all that is listed restores, and the next prune goes on',
  { timeout: 240_000 },
  async () => {
    let server: S3Double | undefined;
    const { host, store } = await installation(async (place) => {
      server = await startS3({ provider: 'b2' });
      return bucketStore(place, server);
    });
    const fault = (nth: number) => {
      let deletes = 0;
      return ({ method }: { method: string }) =>
        method === 'DELETE' && (deletes += 1) >= nth ? { kind: 'status' as const, status: 403 } : undefined;
    };
    for (let nth = 1; nth < 40; nth += 4) {
      server!.fault = fault(nth);
      const { digest, attachments } = await planOf(host);
      const { exit } = await apply(host, digest);
      server!.fault = () => undefined;
      expect((await json(host, 'backups', 'verify', '--all')).exit).toBe(0);
      if (exit === 0 && attachments.delete.length === 0) break;
    }
    await assertAllRestore(host, 4);
    expect(blobsIn(store).filter((key) => key.endsWith('.sealed')).length).toBe(1);
  },
);

it(
  'killed anywhere, all that is listed restores, and the next prune goes on',
  { timeout: 240_000 },
  async () => {
    const { host, store } = await installation(async (place) => folderStore(place));
    const { digest } = await planOf(host);
    const started = performance.now();
    // One that is refused takes as long as it takes to begin.
    await spawned(host, ['backups', 'prune', '--apply', 'a'.repeat(64)]);
    const ms = performance.now() - started;
    for (const share of [0.7, 0.9, 0.95, 1]) {
      await spawned(host, ['backups', 'prune', '--apply', digest], Math.round(share * ms));
      expect((await json(host, 'backups', 'verify', '--all')).exit).toBe(0);
    }
    await apply(host, (await planOf(host)).digest);
    await assertAllRestore(host, 4);
    expect(blobsIn(store).filter((key) => key.endsWith('.sealed')).length).toBe(1);
  },
);

it('the job takes them, and its log says how many and how much', { timeout: 120_000 }, async () => {
  const { host, store } = await installation(async (place) => folderStore(place));
  const { attachments } = await planOf(host);
  const ran = await run(host, 'jobs', 'run', 'prune');
  expect(ran.exit).toBe(0);
  expect(blobsIn(store).filter((key) => attachments.delete.includes(key))).toEqual([]);
  const runs = await readRows<{ log: string }>(host, `select log from job_runs where job = 'prune'`);
  expect(runs.map(({ log }) => log)).toEqual([
    expect.stringMatching(/1 backups deleted\. 1 attachment and their lists, [\d.]+ kB deleted\./),
  ]);
});

const compact = (at: Date): string => at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '');

it('where somebody hid a young backup, none goes', { timeout: 120_000 }, async () => {
  let server: S3Double | undefined;
  const { host } = await installation(async (place) => {
    server = await startS3({ provider: 'b2' });
    return bucketStore(place, server);
  });
  const young = [...server!.objects.keys()].filter((key) => /full.*-000002\.manifest/.test(key));
  expect(young.length).toBe(1);
  // As whoever may write to such a bucket can.
  const headers = { authorization: 'Credential=key/', 'x-amz-date': `${compact(new Date())}Z` };
  const hidden = await fetch(`${server!.endpoint}/backups/${young[0]}`, { method: 'DELETE', headers });
  expect([hidden.status, server!.objects.has(young[0] ?? '')]).toEqual([204, false]);
  const plan = await planOf(host);
  expect(plan.attachments).toEqual({
    ...{ delete: [], count: 0, bytes: 0 },
    refused: expect.stringContaining('was hidden by somebody'),
  });
});

it(
  'is planned by a host in production, and carried out where the prune key is',
  { timeout: 120_000 },
  async () => {
    const { host, store, oldest } = await installation(bucketStore);
    const { publicKey } = (await json(host, 'keys', 'show')).json<{ signer: { publicKey: string } }>().signer;
    const away = emptyFolder();
    for (const name of ['backup-recovery.key', 'backup-drill.key'])
      renameSync(join(host.data, 'keyring', name), join(away, name));
    writeFileSync(join(away, 'prune.key'), 'aws_access_key_id = key\naws_secret_access_key = secret\n');
    host.env['FACTORY_ENV'] = 'production';
    const { digest, attachments, needsPruneKey } = await planOf(host);
    expect([attachments.count, needsPruneKey]).toEqual([1, true]);
    const refused = await apply(host, digest);
    expect([refused.exit, refused.error?.code]).toEqual([4, 'prune-needs-key']);
    expect(blobsIn(store)).toEqual(expect.arrayContaining(attachments.delete));
    const url = host.env['FACTORY_BACKUP_DESTINATIONS'] ?? '';
    const words = ['--from', url, '--credentials', join(away, 'prune.key'), '--trust', publicKey, '--json'];
    expect((await factory(away, ['backups', 'verify', '--all', ...words])).exit).toBe(0);
    const done = await factory(away, ['backups', 'prune', '--apply', digest, ...words]);
    expect([done.exit, done.json<Applied>().applied]).toEqual([
      0,
      expect.objectContaining({ deleted: [oldest], attachments: expect.objectContaining({ count: 1 }) }),
    ]);
    expect(blobsIn(store).filter((key) => attachments.delete.includes(key))).toEqual([]);
  },
);
