import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { exitOfChecks } from '../../scripts/doctor.ts';
import { ok, probe, warn } from '../../scripts/lib/doctor/check.ts';
import type { Check } from '../../scripts/lib/doctor/check.ts';
import { clockCheck, nearestFolder, nodeCheck, spaceCheck } from '../../scripts/lib/doctor/machine.ts';
import { loadConfig } from '../../service/config-load.ts';
import { systemClock } from '../../service/clock.ts';
import { createLogger } from '../../service/logger.ts';
import { createAuditLog } from '../../service/audit/log.ts';
import { loadAuditKeys } from '../../service/audit/keys.ts';
import { checkpointDirs } from '../../service/offline.ts';
import { installationId, openStorage } from '../../service/storage/open.ts';
import { openSqliteHandle } from '../../service/storage/sqlite.ts';
import { emptyFolder, factory, FACTORY } from './cli.ts';

/**
 * Every file below a folder with its content; without what SQLite itself keeps beside a database that is open,
 * and without what doctor keeps.
 */
function photograph(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/-(wal|shm)$|^destinations\.json$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => `${path} ${hash('sha256', readFileSync(path))}`)
    .sort();
}

const ENV = { FACTORY_PORT: '0' };
const RECIPIENT = `age1${'q'.repeat(58)}`;

async function examine(folder: string, env: Record<string, string> = ENV) {
  const ran = await factory(folder, ['doctor', '--json'], env);
  const { checks } = ran.json<{ checks: Check[] }>();
  return { exit: ran.exit, of: (name: string) => checks.find((check) => check.name === name), checks };
}

/** An installation with a few audit entries and a checkpoint of them. */
async function installed(): Promise<string> {
  const folder = emptyFolder();
  await factory(folder, ['init']);
  for (const name of ['Ada', 'Ben', 'Cy'])
    await factory(folder, ['people', 'invite', '--name', name, '--role', 'planner']);
  const loaded = loadConfig(folder, ENV);
  if (!('config' in loaded)) throw new Error('The test has a bad configuration.');
  const { config } = loaded;
  const storage = await openStorage(config.databaseUrl);
  const keys = loadAuditKeys(config.keyringDir, await installationId(storage.read), true);
  const logger = createLogger('silent');
  const log = createAuditLog({
    storage,
    keys,
    clock: systemClock,
    checkpointDirs: checkpointDirs(config),
    logger,
  });
  await log.integrate();
  await log.stop();
  await storage.close();
  return folder;
}

function changeDatabase(folder: string, sql: string): void {
  const handle = openSqliteHandle(join(folder, 'data/factory.db'));
  handle.exec(sql);
  handle.close();
}

describe('an empty folder', () => {
  it('is looked at and left empty', async () => {
    const folder = emptyFolder();
    const { exit, checks, of } = await examine(folder);
    expect(exit).toBe(3);
    expect(of('work items')).toMatchObject({
      status: 'warn',
      hint: expect.stringContaining(`${FACTORY} init`),
    });
    expect(checks.filter(({ status }) => status === 'fail')).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ['nobody', {}, 'is not set'],
    ['one', { FACTORY_BACKUP_RECIPIENTS: RECIPIENT }, 'names one recipient only'],
  ])('fails in production where %s can read backups', async (_who, more, why) => {
    const production = { ...ENV, FACTORY_ENV: 'production', FACTORY_BASE_URL: 'https://factory.example' };
    const { exit, of } = await examine(emptyFolder(), { ...production, ...more });
    expect([exit, of('backup keys')]).toEqual([
      1,
      {
        ...{ name: 'backup keys', status: 'fail', detail: expect.stringContaining(why) },
        hint: expect.stringContaining('set FACTORY_BACKUP_RECIPIENTS to the two public halves'),
      },
    ]);
    const both = { ...production, FACTORY_BACKUP_RECIPIENTS: `${RECIPIENT} ${RECIPIENT}` };
    expect((await examine(emptyFolder(), both)).of('backup keys')?.status).toBe('ok');
  });

  it('is told in text, too', async () => {
    const { stdout } = await factory(emptyFolder(), ['doctor'], ENV);
    expect(stdout).toMatch(/^ok +node +Node \d+/m);
    expect(stdout).toMatch(/^warn +work items [^]*launch\.mjs init/m);
  });
});

describe('an installation', () => {
  it('is well, and as it was before', async () => {
    const folder = await installed();
    const before = photograph(folder);
    const { exit, checks, of } = await examine(folder);
    // Nothing but that its only backups would lie on its own disk.
    expect(checks.filter(({ status }) => status !== 'ok')).toEqual([
      expect.objectContaining({
        name: 'destination 1',
        detail: expect.stringContaining('same disk: not a backup'),
      }),
    ]);
    expect(exit).toBe(3);
    expect(of('audit log')?.detail).toMatch(/^4 entries signed at /);
    expect(photograph(folder)).toEqual(before);
  });

  it.each([
    ['a changed entry', `update audit_entries set leaf = replace(leaf, 'person.', 'token.') where seq = 2`],
    ['a missing last entry', 'delete from audit_entries where seq = (select max(seq) from audit_entries)'],
    ['a missing entry between', 'delete from audit_entries where seq = 2'],
  ])('with %s fails', async (_what, sql) => {
    const folder = await installed();
    changeDatabase(folder, sql);
    const { exit, of } = await examine(folder);
    expect(of('audit log')).toMatchObject({ status: 'fail', hint: expect.stringContaining('verify-audit') });
    expect(exit).toBe(1);
  });

  it('without its keys fails, and gets no new ones', async () => {
    const folder = await installed();
    rmSync(join(folder, 'data/keyring'), { recursive: true });
    const { exit, of } = await examine(folder);
    expect(exit).toBe(1);
    expect(of('keyring')).toMatchObject({ status: 'fail', hint: expect.stringContaining('Restore') });
    expect(existsSync(join(folder, 'data/keyring'))).toBe(false);
  });

  it('whose keys others may read is warned', async () => {
    const folder = await installed();
    const key = join(folder, 'data/keyring/audit-signing.pem');
    chmodSync(key, 0o644);
    const { exit, of } = await examine(folder);
    expect(exit).toBe(3);
    expect(of('keyring')).toMatchObject({ status: 'warn', detail: expect.stringContaining(key) });
  });

  it('is cured by what the warning says, and public files are none', async () => {
    const folder = await installed();
    const keyring = join(folder, 'data/keyring');
    for (const name of ['backup-trusted.txt', 'backup-recipients.txt', 'audit-log.vkey'])
      writeFileSync(join(keyring, name), '', { mode: 0o644, flag: 'a' });
    for (const name of ['proofs.json', 'epoch.json'])
      writeFileSync(join(keyring, name), '{}', { mode: 0o644 });
    chmodSync(keyring, 0o755);
    const { of } = await examine(folder);
    expect(of('keyring')?.detail).toBe(
      `Other users may read ${['', '/epoch.json', '/proofs.json'].map((name) => keyring + name).join(', ')}.`,
    );
    execFileSync('sh', ['-c', of('keyring')?.hint ?? '']);
    expect((await examine(folder)).of('keyring')?.status).toBe('ok');
  });

  it.each(['taken', 'taken/below'])(
    'is told what to do about a file where the folder %s belongs',
    async (name) => {
      const folder = await installed();
      writeFileSync(join(folder, 'taken'), 'a file');
      const env = { ...ENV, FACTORY_BACKUP_DESTINATIONS: pathToFileURL(join(folder, name)).href };
      const { of } = await examine(folder, env);
      const { hint } = of('destination 1') ?? {};
      expect([of('destination 1')?.status, hint]).toEqual([
        'fail',
        expect.stringMatching(/^Move that file away/),
      ]);
      const backup = await factory(folder, ['backup', '--json'], env);
      expect(backup.stdout + backup.stderr).toContain(hint);
    },
  );

  it('of a newer release is left alone', async () => {
    const folder = await installed();
    changeDatabase(folder, `update meta set value = '99' where key = 'min_reader'`);
    const before = photograph(folder);
    const { of } = await examine(folder);
    expect(of('database')).toMatchObject({ status: 'fail', detail: expect.stringContaining('99') });
    expect(photograph(folder)).toEqual(before);
  });

  it('with files of tomorrow has a clock that went back', async () => {
    const folder = await installed();
    const tomorrow = new Date(Date.now() + 86_400_000);
    utimesSync(join(folder, 'data/factory.db'), tomorrow, tomorrow);
    expect((await examine(folder)).of('clock')).toMatchObject({ status: 'warn' });
  });

  it('with a broken record points to validate', async () => {
    const folder = await installed();
    const record = join(folder, 'work-items/backlog/wi-START-1.md');
    writeFileSync(record, readFileSync(record, 'utf8').replace('title:', 'title'));
    expect((await examine(folder)).of('work items')).toMatchObject({
      status: 'warn',
      hint: expect.stringContaining(`${FACTORY} validate`),
    });
  });
});

describe('the address', () => {
  it('of another process fails', async () => {
    const server = createServer((socket) => socket.end('no')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const { of } = await examine(emptyFolder(), { FACTORY_PORT: String(port) });
    server.close();
    expect(of('address')).toMatchObject({ status: 'fail', hint: expect.stringContaining('FACTORY_PORT') });
  });

  it('that is no address of this machine fails', async () => {
    const { of } = await examine(emptyFolder(), { FACTORY_HOST: '192.0.2.1', FACTORY_PORT: '8700' });
    expect(of('address')).toMatchObject({ status: 'fail', detail: expect.stringContaining('EADDRNOTAVAIL') });
  });
});

it('finds a wrong configuration and looks at nothing that hangs on it', async () => {
  const { exit, checks } = await examine(emptyFolder(), { FACTORY_PORT: 'x' });
  expect(exit).toBe(1);
  expect(checks.map(({ name, status }) => [name, status])).toEqual([
    ['node', 'ok'],
    ['sqlite', 'ok'],
    ['configuration', 'fail'],
  ]);
});

it('warns of production without an https address', async () => {
  const { of } = await examine(emptyFolder(), { ...ENV, FACTORY_ENV: 'production' });
  expect(of('configuration')).toMatchObject({
    status: 'warn',
    hint: expect.stringContaining('FACTORY_BASE_URL'),
  });
});

it('finds a data folder where a file is', async () => {
  const folder = emptyFolder();
  writeFileSync(join(folder, 'data'), '');
  expect((await examine(folder)).of('disk')).toMatchObject({ status: 'fail' });
});

describe('the rules', () => {
  it.each([
    ['24.0.0', 'ok'],
    ['26.1.0', 'ok'],
    ['22.9.0', 'fail'],
  ])('Node %s: %s', (version, status) => {
    expect(nodeCheck(version).status).toBe(status);
  });

  it.each([
    [5e9, 'ok'],
    [1e9, 'ok'],
    [1e9 - 1, 'warn'],
    [100e6, 'warn'],
    [100e6 - 1, 'fail'],
    [0, 'fail'],
  ])('%d free bytes: %s', (bytes, status) => {
    expect(spaceCheck('/data', bytes).status).toBe(status);
  });

  it.each([
    ['2026-05-01T00:00:00Z', [], 'ok'],
    ['2026-05-01T00:00:00Z', ['2026-05-01T00:01:00Z'], 'ok'],
    ['2026-05-01T00:00:00Z', ['2026-05-01T00:01:01Z'], 'warn'],
    ['1970-01-01T00:00:10Z', [], 'fail'],
  ])('a clock at %s after %j: %s', (now, written, status) => {
    const times = written.map((at) => ({ what: 'a file', at: Date.parse(at) }));
    expect(clockCheck(Date.parse(now), times).status).toBe(status);
  });

  it.each([
    [['ok', 'ok'], 0],
    [['ok', 'warn'], 3],
    [['warn', 'fail', 'ok'], 1],
  ] as const)('%j ends with %i', (statuses, exit) => {
    expect(exitOfChecks(statuses.map((status) => ({ ...ok('x', ''), status })))).toBe(exit);
  });

  it('what a probe throws is its finding', async () => {
    const check = await probe('disk', () => Promise.reject(new Error('It is gone.')));
    expect(check).toMatchObject({ name: 'disk', status: 'fail', detail: 'It is gone.' });
    expect(await probe('disk', () => warn('disk', 'd', 'h'))).toEqual(warn('disk', 'd', 'h'));
  });

  it('finds the nearest folder that exists', () => {
    const folder = emptyFolder();
    expect(nearestFolder(join(folder, 'a/b/c'))).toBe(folder);
  });
});
