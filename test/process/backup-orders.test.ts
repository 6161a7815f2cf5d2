import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createPrivateKey } from 'node:crypto';
import { join } from 'node:path';
import { hostname } from 'node:os';
import { pathToFileURL } from 'node:url';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Manifest } from '../../scripts/lib/backup/format.ts';
import { manifestText, signManifest } from '../../scripts/lib/backup/manifest.ts';
import { startS3 } from '../helpers/s3-double.ts';
import { factory } from '../scripts/cli.ts';
import { APP, NAMED, newPairs } from './pairs.ts';
import type { Made } from './pairs.ts';
import { newPlace } from './service.ts';
import type { Place } from './service.ts';

/** Second lines of defence, each alone: what no other check would find, were it not there. */

const run = ({ dir, env }: Place, ...args: string[]) => factory(dir, [...args, '--json'], env);
const restore = (place: Place, ...words: string[]) =>
  run(place, 'restore', ...NAMED, ...words, '--to', 'r.db');

describe('a manifest', () => {
  it('is sent when every object that it names was taken, by a bucket that takes its time', async () => {
    const server = await startS3({ provider: 'b2' });
    onTestFinished(() => server.close());
    const { place } = newPairs(20, "'a note'");
    Object.assign(place.env, {
      ...{ AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
      FACTORY_BACKUP_DESTINATIONS: `s3://backups/team?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`,
    });
    const held: string[][] = [];
    server.fault = ({ method, key }) => {
      if (method !== 'PUT') return undefined;
      if (key.endsWith('.manifest.json')) held.push([...server.objects.keys()]);
      return key.endsWith('.manifest.json') ? undefined : { kind: 'delay', ms: 300 };
    };
    const made = await run(place, 'backup', ...APP);
    expect(made.exit).toBe(0);
    const stem = made.json<Made>().backupId;
    const others = [...server.objects.keys()].filter(
      (key) => key.includes(stem) && !key.endsWith('.manifest.json'),
    );
    expect(others.length).toBeGreaterThanOrEqual(3);
    expect(held).toHaveLength(1);
    for (const key of others) expect(held[0]).toContain(key);
  });

  /** As somebody with the host's key would write it, or a fault of ours. */
  function rewritten(place: Place, backupId: string, change: (manifest: Manifest) => object): void {
    const path = join(place.data, 'backups', `${backupId}.manifest.json`);
    const { signature: _, ...manifest } = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
    const key = createPrivateKey(readFileSync(join(place.data, 'keyring/backup-signing.pem')));
    const changed = { ...manifest, ...change(manifest as Manifest) } as Omit<Manifest, 'signature'>;
    rmSync(path);
    writeFileSync(path, manifestText(signManifest(changed, key)));
  }
  const otherDigest = { sha256: 'ab'.repeat(32) };

  it('whose database has another digest restores nothing, also where every object and every row is right', async () => {
    const { place } = newPairs(20, "'a note'");
    const { backupId } = (await run(place, 'backup', ...APP)).json<Made>();
    rewritten(place, backupId, ({ source }) => ({ source: { ...source, ...otherDigest } }));
    const ran = await restore(place);
    expect([ran.exit, ran.stdout]).toEqual([1, expect.stringMatching(/damaged|digest|not what/)]);
  });

  it('that names another digest of the full backup below it restores nothing', async () => {
    const { place, db } = newPairs(2000, 'hex(randomblob(200))');
    await run(place, 'backup', ...APP);
    db.exec('update pair set note = note where id = 1; insert into pair (a, b) values (7, -7)');
    const { backupId, kind } = (await run(place, 'backup', ...APP)).json<Made>();
    expect(kind).toBe('differential');
    rewritten(place, backupId, ({ base }) => ({ base: { ...base, ...otherDigest } }));
    const ran = await restore(place, '--backup', backupId);
    expect(ran.exit).toBe(1);
    expect((await restore(place, '--from', pathToFileURL(join(place.data, 'backups')).href)).exit).toBe(3);
  });
});

describe('a restore in place', () => {
  it('over a database that cannot be opened leaves nothing of its log to the one that comes', async () => {
    const place = newPlace();
    onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
    const file = join(place.data, 'factory.db');
    expect((await run(place, 'people', 'invite', '--name', 'A', '--role', 'reviewer')).exit).toBe(0);
    expect((await run(place, 'backup')).exit).toBe(0);
    // Its log has frames that are whole, and would be carried out on whatever lies beside it.
    const open = new Database(file);
    // Who reads keeps it from being emptied.
    open.exec('begin; select count(*) from people');
    expect((await run(place, 'people', 'invite', '--name', 'B', '--role', 'reviewer')).exit).toBe(0);
    const log = readFileSync(`${file}-wal`);
    expect(log.length).toBeGreaterThan(4096);
    open.close();
    writeFileSync(file, Buffer.alloc(8192, 7));
    writeFileSync(`${file}-wal`, log);
    const confirm = ['--confirm', `${hostname()}/factory.db`];
    const done = await run(place, 'restore', '--in-place', ...confirm);
    expect([done.exit, done.stderr]).toEqual([0, expect.anything()]);
    const restored = new Database(file, { readonly: true });
    expect(restored.pragma('integrity_check', { simple: true })).toBe('ok');
    const names = restored.prepare("select name from people where name in ('A', 'B')").pluck().all();
    restored.close();
    expect(names).toEqual(['A']);
  });
});
