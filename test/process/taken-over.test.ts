import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { backup, CONFIRM, invite, json, place, run } from './people-backups.ts';
import type { Place } from './service.ts';

/** A machine that lost its keyring took over with new keys: readers who trust both signers know what counts. */

interface Signer {
  signer: { publicKey: string; fingerprint: string };
}
interface Seen {
  newest: { backupId: string };
  problems: { code: string }[];
}
interface Listed {
  backups: { backupId: string }[];
  problems: { code: string }[];
}

const signerOf = async (where: Place) => (await json(where, 'keys', 'show')).json<Signer>().signer;
const codes = ({ problems }: { problems: { code: string }[] }): string[] => problems.map(({ code }) => code);

it('what the old host sent since is put aside for whoever names both, by key or fingerprint', async () => {
  const shared = place();
  const url = pathToFileURL(join(shared.dir, 'bucket')).href;
  const env = { FACTORY_BACKUP_DESTINATIONS: url };
  const old = place(env);
  await invite(old, 'A');
  await backup(old);
  const next = place(env);
  const key = join(next.dir, 'recovery.key');
  cpSync(join(old.data, 'keyring/backup-recovery.key'), key);
  const before = await signerOf(old);
  const words = ['--in-place', '--identity', key, '--trust', before.fingerprint, '--new-log-key'];
  const done = await run(next, 'restore', ...words, '--confirm', CONFIRM);
  expect([done.exit, done.stdout]).toEqual([0, expect.stringContaining('counts nowhere: epoch 1 is marked')]);
  await invite(old, 'B');
  const stale = await backup(old);
  // The restore left a mark: nobody has to wait for a backup of the new epoch.
  expect(codes((await json(next, 'backups', 'list')).json<Listed>())).toEqual(['backup-fenced']);
  const report = (await json(next, 'restore', '--accept')).json<{ report: { digest: string } }>().report;
  const accepted = await json(next, 'restore', '--accept', report.digest);
  expect([accepted.exit, accepted.json<{ next: string[] }>().next]).toEqual([
    0,
    [expect.stringMatching(/ backup --full$/)],
  ]);
  // Whoever asks for that very one gets it, to look at it; in place the end of its id is not enough.
  const asked = ['--identity', key, '--trust', before.fingerprint, '--backup', stale];
  const looked = await run(next, 'restore', '--to', 'stale.db', ...asked);
  expect([looked.exit, looked.stdout]).toEqual([0, expect.stringContaining('stale.db')]);
  const end = [...asked.slice(0, -1), stale.split('/').at(-1) ?? ''];
  const put = await json(next, 'restore', '--in-place', ...end, '--confirm', CONFIRM);
  expect([put.exit, put.stdout]).toEqual([1, expect.stringContaining('backup-fenced')]);
  await invite(next, 'C');
  const good = await backup(next);

  const listed = (await json(next, 'backups', 'list')).json<Listed>();
  expect(codes(listed)).toEqual(['backup-fenced']);
  expect(listed.backups.map(({ backupId }) => backupId)).not.toContain(stale);
  const after = await signerOf(next);
  const nowhere = place();
  const observe = async (...trust: string[]): Promise<Seen> =>
    (await json(nowhere, 'observe', '--from', url, ...trust.flatMap((one) => ['--trust', one]))).json<Seen>();
  for (const trust of [
    [before.publicKey, after.publicKey],
    [before.fingerprint, after.fingerprint],
  ]) {
    const seen = await observe(...trust);
    expect([codes(seen), seen.newest.backupId]).toEqual([['backup-fenced'], good]);
  }
  // Of a signer that nobody named, an epoch says nothing.
  expect(codes(await observe(before.publicKey))).toEqual([]);
});
