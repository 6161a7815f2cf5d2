import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startS3 } from '../helpers/s3-double.ts';
import { emptyFolder, factory } from '../scripts/cli.ts';
import { backup, invite, json, place } from './people-backups.ts';

/** The prune key lies on another machine, which knows nothing of the host but what the host says to type. */

interface Planned {
  plan: { delete: string[]; leftovers: string[]; digest: string; keyring: string | null };
}

const ago = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString();

async function production(more: Record<string, string> = {}) {
  const server = await startS3({ provider: 'b2' });
  onTestFinished(() => server.close());
  const url = `s3://backups/team?endpoint=${encodeURIComponent(server.endpoint)}&region=eu&forcePathStyle=true`;
  const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
  const host = place({ ...keys, FACTORY_BACKUP_DESTINATIONS: url, ...more });
  const made: string[] = [];
  for (const name of ['A', 'B', 'C', 'D']) {
    await invite(host, name);
    // Another keyring, so that another copy of it is sent.
    if (made.length > 0) writeFileSync(join(host.data, 'keyring/note.txt'), name);
    made.push(await backup(host));
  }
  expect((await json(host, 'backups', 'verify', '--all')).exit).toBe(0);
  const copies = [...server.objects.keys()].filter((key) => key.includes('keyring/factory/')).sort();
  expect(copies.length).toBe(4);
  const age = (part: string, hours: number): void => {
    for (const [key, stored] of server.objects) if (key.includes(part)) stored.at = ago(hours);
  };
  age(made[0] ?? '', 40 * 24);
  age(copies[0] ?? '', 50);
  age(copies[1] ?? '', 26);
  const away = emptyFolder();
  for (const name of ['backup-recovery.key', 'backup-drill.key'])
    renameSync(join(host.data, 'keyring', name), join(away, name));
  writeFileSync(join(away, 'prune.key'), 'aws_access_key_id = key\naws_secret_access_key = secret\n');
  host.env['FACTORY_ENV'] = 'production';
  return { server, host, away, oldest: made[0], copy: copies[0]?.slice('team/'.length) };
}

/** The commands in what a host said, as a shell there takes them. */
function commandsIn(hint: string, away: string): string[][] {
  const [, typed = ''] = /where that key is: (.*)\. Nothing was deleted/.exec(hint) ?? [];
  return typed.split(' && ').map((command) =>
    command
      .replace('--credentials FILE', `--credentials ${join(away, 'prune.key')}`)
      .replace('--identity FILE', `--identity ${join(away, 'backup-recovery.key')}`)
      .split(' ')
      .map((word) => word.replaceAll("'", '')),
  );
}

async function typed(words: string[], cwd: string, data: string) {
  const env: Record<string, string> = { FACTORY_DATA_DIR: data };
  for (const word of words) {
    const [, name = '', value = ''] = /^(FACTORY_\w+)=(.*)$/.exec(word) ?? [];
    if (name !== '') env[name] = value;
  }
  return factory(cwd, [...words.slice(words.indexOf('backups')), '--json'], env);
}

it.each<[string, Record<string, string>]>([
  ['as it is out of the box', {}],
  ['with a retention of its own', { FACTORY_BACKUP_RETENTION_DAYS: '35' }],
])('what the host printed deletes its plan from an empty folder elsewhere, %s', async (_what, more) => {
  const { server, host, away, oldest, copy } = await production(more);
  const { plan } = (await json(host, 'backups', 'prune')).json<Planned>();
  expect(plan).toMatchObject({ delete: [oldest], leftovers: [copy], keyring: null });
  const refused = await json(host, 'backups', 'prune', '--apply', plan.digest);
  expect(refused.exit).toBe(4);
  const { hint } = refused.json<{ error: { hint: string } }>().error;
  const cwd = emptyFolder();
  const data = join(emptyFolder(), 'not/there/yet');
  const ran = [];
  for (const words of commandsIn(hint, away)) ran.push(await typed(words, cwd, data));
  expect(ran.map(({ exit, stdout }) => [exit, stdout])).toEqual([
    [0, expect.stringContaining('verified')],
    [0, expect.stringContaining(plan.digest)],
  ]);
  const applied = { deleted: [oldest], leftovers: [copy] };
  expect(ran[1]?.json()).toMatchObject({ applied });
  const left = [...server.objects.keys()].join();
  expect([left.includes(oldest ?? '-'), left.includes(copy ?? '-')]).toEqual([false, false]);
});

it('garbage of a newer name takes the last good copy neither there nor here', async () => {
  const { server, host, away } = await production();
  for (const [key, stored] of server.objects) {
    if (/keyring\/factory\/.*-00000[234]/.test(key)) server.objects.delete(key);
    else if (key.includes('keyring/factory/')) stored.at = ago(49);
  }
  server.objects.set('team/keyring/factory/20260501T000000Z-000009.keyring.age', {
    body: Buffer.from('garbage!'),
    at: ago(25),
  });
  const { plan } = (await json(host, 'backups', 'prune')).json<Planned>();
  expect([plan.leftovers, plan.keyring]).toEqual([[], expect.stringContaining('-000009')]);
  const text = (await factory(host.dir, ['backups', 'prune'], host.env)).stdout;
  expect(text).toContain('not known to be whole');
  // Whoever can open it sees the same.
  const { publicKey } = (await json(host, 'keys', 'show')).json<{ signer: { publicKey: string } }>().signer;
  const words = ['--from', host.env['FACTORY_BACKUP_DESTINATIONS'] ?? '', '--trust', publicKey];
  const keys = ['--identity', join(away, 'backup-recovery.key'), '--credentials', join(away, 'prune.key')];
  const cwd = emptyFolder();
  const verified = await factory(cwd, ['backups', 'verify', '--all', ...words, ...keys.slice(2)]);
  expect(verified.exit).toBe(0);
  const seen = await factory(cwd, ['backups', 'prune', ...words, ...keys, '--json']);
  expect(seen.json<Planned>().plan).toMatchObject({
    leftovers: [],
    keyring: expect.stringContaining('-000009'),
  });
});

it('what that machine prints itself works as it was printed', async () => {
  const { host, away, oldest, copy } = await production({ FACTORY_BACKUP_RETENTION_DAYS: '35' });
  const { publicKey } = (await json(host, 'keys', 'show')).json<{ signer: { publicKey: string } }>().signer;
  const cwd = emptyFolder();
  const place = ['--from', host.env['FACTORY_BACKUP_DESTINATIONS'] ?? '', '--trust', publicKey];
  const keys = ['--credentials', join(away, 'prune.key')];
  const identity = ['--identity', join(away, 'backup-recovery.key')];
  const env = { FACTORY_BACKUP_RETENTION_DAYS: '35', FACTORY_ENV: 'production' };
  expect((await factory(cwd, ['backups', 'verify', '--all', ...place, ...keys], env)).exit).toBe(0);
  const printed = (await factory(cwd, ['backups', 'prune', ...place, ...keys, ...identity], env)).stdout;
  const [, command = ''] = /To delete these 2: (.*)$/m.exec(printed) ?? [];
  const words = command.split(' ').map((word) => word.replaceAll("'", ''));
  const applied = await typed(words, cwd, join(cwd, 'data'));
  expect([command, applied.json()]).toEqual([
    expect.stringContaining(` --trust ${publicKey} --apply `),
    expect.objectContaining({ applied: expect.objectContaining({ deleted: [oldest], leftovers: [copy] }) }),
  ]);
});
