import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { fork } from 'node:child_process';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Writable } from 'node:stream';
import { loadConfig } from '../../service/config-load.ts';
import { startService } from '../../service/main.ts';
import { settleRestores } from '../../scripts/lib/restore/put-back.ts';
import { runFactory } from '../../scripts/lib/program.ts';
import { launch, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';

const CONFIRM = `${hostname()}/factory.db`;

interface Failed {
  error: { code: string; message: string; hint: string; confirm?: string; signers?: string[] };
}
interface Listed {
  people: { name: string }[];
}
interface Verified {
  ok: boolean;
  problems: unknown[];
  notChecked: string[];
}
interface Report {
  report: { digest: string; pause: { backupId: string }; drifted: unknown[] } | null;
}

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** The command line in this process: a process for each of the many calls would take most of the time. */
async function factory({ dir, env }: Place, ...args: string[]) {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const code: number = await runFactory(args, { cwd: dir, env, stdout, stderr });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

async function factoryJson<T>(place: Place, ...args: string[]): Promise<{ code: number; answer: T }> {
  const { code, stdout } = await factory(place, ...args, '--json');
  return { code, answer: JSON.parse(stdout) as T };
}

function configOf({ dir, env }: Place) {
  const loaded = loadConfig(dir, { ...env, FACTORY_LOG_LEVEL: 'silent' });
  if ('config' in loaded) return loaded.config;
  throw new Error(JSON.stringify(loaded.problems));
}

function temporary(place: Place): Place {
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  return place;
}

const invite = (place: Place, name: string) =>
  factoryJson<{ id: string }>(place, 'people', 'invite', '--name', name, '--role', 'reviewer');

async function names(place: Place): Promise<string[]> {
  const { answer } = await factoryJson<Listed>(place, 'people', 'list');
  return answer.people.map(({ name }) => name).filter((name) => name.length === 1);
}

/** An installation with A in its backup, and B only in its database. */
async function installation(env: Record<string, string> = {}): Promise<Place> {
  const place = temporary(newPlace({ env }));
  await invite(place, 'A');
  await startOnce(place);
  expect((await factory(place, 'backup')).code).toBe(0);
  await invite(place, 'B');
  // Signs a checkpoint that covers B.
  await startOnce(place);
  return place;
}

/** Starts the service and stops it; what its health said. */
async function startOnce(place: Place): Promise<{ status: string; restore: string }> {
  await settleRestores(configOf(place), () => undefined);
  const service = await startService(configOf(place));
  const { status, checks } = await service.context.health.check();
  await service.close();
  return { status, restore: checks.restore.status };
}

const inPlace = (place: Place, ...args: string[]) =>
  factoryJson<{ epoch: number; before: string; givenUp: number }>(
    place,
    'restore',
    '--in-place',
    '--confirm',
    CONFIRM,
    ...args,
  );

const verified = async (place: Place) => (await factoryJson<Verified>(place, 'verify-audit')).answer;

/** Every file of an installation and its bytes, but for what any command writes. */
function photograph(place: Place): Map<string, string> {
  const files = readdirSync(place.data, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  return new Map(
    files
      .map((one) => join(one.parentPath, one.name))
      .filter((path) => !/-(wal|shm)$|\/restores\/lock/.test(path))
      .map((path) => [path, readFileSync(path).toString('base64')]),
  );
}

describe('a restore in place', () => {
  it('is planned, confirmed, done, verified, accepted, and undone', async () => {
    const place = await installation();
    const { answer: planned } = await factoryJson<{ plan: Record<string, unknown> }>(
      place,
      'restore',
      '--in-place',
      '--plan',
    );
    expect(planned.plan).toMatchObject({
      confirm: CONFIRM,
      to: join(place.data, 'factory.db'),
      signerKnown: true,
    });
    const done = await inPlace(place);
    expect([done.code, done.answer.epoch]).toEqual([0, 1]);
    expect(done.answer.givenUp).toBeGreaterThan(0);
    expect(await names(place)).toEqual(['A']);
    expect(await verified(place)).toMatchObject({ ok: true, problems: [] });

    expect(await startOnce(place)).toEqual({ status: 'degraded', restore: 'degraded' });
    expect(await verified(place)).toMatchObject({ ok: true, problems: [] });
    for (const job of ['backup', 'prune', 'drill']) {
      const { code, answer } = await factoryJson<Failed>(place, 'jobs', 'run', job);
      expect([code, answer.error.code, answer.error.hint]).toEqual([
        ...[4, 'job-paused'],
        expect.stringContaining('restore --accept'),
      ]);
    }
    expect((await factory(place, 'backup')).code).toBe(0);
    const shown = await factoryJson<Report>(place, 'restore', '--accept');
    const stale = await factoryJson<Failed>(place, 'restore', '--accept', '0123456789abcdef');
    expect([stale.code, stale.answer.error.code]).toEqual([4, 'report-outdated']);
    expect((await factory(place, 'restore', '--accept', shown.answer.report?.digest ?? '')).code).toBe(0);
    expect((await factoryJson<Report>(place, 'restore', '--accept')).answer.report).toBeNull();
    expect((await startOnce(place)).restore).toBe('ok');
    expect((await factory(place, 'jobs', 'run', 'prune')).code).toBe(0);

    const refused = await factoryJson<Failed>(place, 'restore', '--undo');
    expect([refused.code, refused.answer.error.confirm]).toEqual([4, CONFIRM]);
    const undone = await factoryJson<{ epoch: number }>(place, 'restore', '--undo', '--confirm', CONFIRM);
    expect([undone.code, undone.answer.epoch]).toEqual([0, 2]);
    expect(await names(place)).toEqual(['A', 'B']);
    for (const args of [['--plan'], ['--confirm', CONFIRM]]) {
      const again = await factoryJson<Failed>(place, 'restore', '--undo', ...args);
      expect([again.code, again.answer.error.code]).toEqual([4, 'restore-undone']);
      expect(again.answer.error.hint).toMatch(/restore --in-place --backup full\/factory\/\S+ --plan/);
    }
    expect(await names(place)).toEqual(['A', 'B']);
    await startOnce(place);
    expect(await verified(place)).toMatchObject({ ok: true, problems: [] });

    // The next backup is a full one of the new epoch, above all others.
    const { answer } = await factoryJson<{ kind: string; sequence: number }>(place, 'backup');
    expect(answer).toMatchObject({ kind: 'full', sequence: 3 });
    expect((await inPlace(place, '--backup', 'unknown')).code).toBe(1);
    expect((await inPlace(place)).answer.epoch).toBe(3);
    expect(await names(place)).toEqual(['A', 'B']);
  });

  it('is still a truncation where somebody puts an old database there by hand', async () => {
    const place = await installation();
    const old = join(place.dir, 'old.db');
    expect((await factory(place, 'restore', '--to', old)).code).toBe(0);
    cpSync(old, join(place.data, 'factory.db'));
    expect((await verified(place)).ok).toBe(false);
  });

  it('refuses what cannot be, and touches nothing', async () => {
    const place = await installation();
    writeFileSync(join(place.dir, 'wrong.key'), 'no key\n');
    const confirmed = ['--in-place', '--confirm', CONFIRM];
    const TABLE: [what: string, args: string[], code: string, exit: number][] = [
      ['no confirmation', ['--in-place'], 'restore-unconfirmed', 4],
      ['another machine', ['--in-place', '--confirm', 'elsewhere/factory.db'], 'restore-unconfirmed', 4],
      ['another database', ['--in-place', '--confirm', `${hostname()}/app.db`], 'restore-unconfirmed', 4],
      ['an unknown backup', [...confirmed, '--backup', 'x'], 'backup-unknown', 1],
      ['a time before the first', [...confirmed, '--at', '2020-01-01T00:00:00Z'], 'backup-before-first', 1],
      ['a time to come', [...confirmed, '--at', '2999-01-01T00:00:00Z'], 'backup-after-last', 1],
      ['a wrong identity', [...confirmed, '--identity', join(place.dir, 'wrong.key')], 'identity-missing', 1],
      ['both targets', [...confirmed, '--to', 'x.db'], 'usage', 2],
      ['another application', [...confirmed, '--name', 'app'], 'usage', 2],
      ['new keys beside the old ones', [...confirmed, '--new-log-key'], 'log-key-exists', 4],
      ['nothing to undo', ['--undo', '--confirm', CONFIRM], 'restore-undo-none', 1],
    ];
    const before = photograph(place);
    for (const [what, args, code, exit] of TABLE) {
      const ran = await factoryJson<Failed>(place, 'restore', ...args);
      expect([what, ran.answer.error.code, ran.code]).toEqual([what, code, exit]);
    }
    expect(photograph(place)).toEqual(before);

    const full = join(place.data, 'backups/full/factory');
    const key = readdirSync(full).find((name) => name.endsWith('.key.age')) ?? '';
    rmSync(join(full, key));
    expect((await inPlace(place)).code).toBe(1);
    expect(await names(place)).toEqual(['A', 'B']);
  });

  it('needs the application stopped, which is proven', async () => {
    const place = await installation();
    const service = await serve(place);
    onTestFinished(() => service.kill());
    const ran = await factoryJson<Failed>(place, 'restore', '--in-place', '--confirm', CONFIRM);
    expect([ran.code, ran.answer.error.code]).toEqual([4, 'database-in-use']);
    expect((await fetch(`${service.url}/api/health`)).status).toBe(200);
    await service.stop();
    expect((await inPlace(place)).code).toBe(0);
  });

  it('killed anywhere leaves the old database or the new one, and the next start settles it', async () => {
    const place = await installation();
    for (let at = 300; at <= 3900; at += 600) {
      const child = launch(place, ['restore', '--in-place', '--confirm', CONFIRM]);
      const ended = new Promise((resolve) => child.once('close', resolve));
      await sleep(at);
      child.kill('SIGKILL');
      await ended;
      await settledAs(place, ['A', 'AB']);
    }
  });

  const STEPS: [step: string, expected: string][] = [
    ['journal', 'AB'],
    ['make', 'AB'],
    ['mark', 'AB'],
    ['keep', 'AB'],
    ['epoch', 'AB'],
    ['swap', 'AB'],
    ['swapping', 'AB'],
    ['aside', 'A'],
  ];

  it.each(STEPS)('killed before the step "%s" it is settled', async (step, expected) => {
    const place = await installation();
    const script = join(import.meta.dirname, 'restore-killed.ts');
    const child = fork(script, [place.dir, JSON.stringify(place.env), step], { execArgv: [] });
    const signal = await new Promise((resolve) => child.once('exit', (_code, by) => resolve(by)));
    expect(signal).toBe('SIGKILL');
    await settledAs(place, [expected]);
    expect((await inPlace(place)).code).toBe(0);
    expect(await names(place)).toEqual(['A']);
  });
});

/** The next start finds the old database or the new one, whole, and nothing that was prepared. */
async function settledAs(place: Place, expected: string[]): Promise<void> {
  await startOnce(place);
  const found = await names(place);
  expect(expected).toContain(found.join(''));
  expect((await verified(place)).problems).toEqual([]);
  expect(readdirSync(place.data).filter((name) => name.includes('restoring'))).toEqual([]);
  if (found.length === 1) await invite(place, 'B');
}

describe('a machine that was replaced', () => {
  it('refuses to send and to start, and what it sent counts nowhere', async () => {
    const shared = temporary(newPlace());
    const url = pathToFileURL(join(shared.dir, 'bucket')).href;
    const old = await installation({ FACTORY_BACKUP_DESTINATIONS: url });
    // The new machine has the keyring and takes over from the bucket.
    const next = temporary(newPlace({ env: { FACTORY_BACKUP_DESTINATIONS: url } }));
    mkdirSync(next.data, { recursive: true });
    cpSync(join(old.data, 'keyring'), join(next.data, 'keyring'), { recursive: true });
    expect((await inPlace(next)).answer).toMatchObject({ epoch: 1, before: null });
    expect(await names(next)).toEqual(['A']);
    // As if the bucket had been away then. Before anybody knows, the old one sends once more; then the new one does.
    const folder = join(shared.dir, 'bucket/full/factory');
    const marks = readdirSync(folder).filter((name) => name.startsWith('epoch-000001-'));
    expect(marks).toHaveLength(1);
    rmSync(join(folder, marks[0] ?? ''));
    expect((await factory(old, 'backup', '--full')).code).toBe(0);
    await invite(next, 'C');
    expect((await factory(next, 'backup')).code).toBe(0);
    const listed = await factoryJson<{ backups: { sequence: number }[]; problems: { code: string }[] }>(
      next,
      'backups',
      'list',
    );
    expect(listed.answer.problems.map(({ code }) => code)).toEqual(['backup-fenced']);
    expect(listed.answer.backups).toHaveLength(2);

    const refused = await factoryJson<Failed>(old, 'backup', '--full');
    expect([refused.code, refused.answer.error.code]).toEqual([4, 'epoch-fenced']);
    await expect(startOnce(old)).rejects.toMatchObject({ code: 'epoch-fenced' });
    // It may become the one that counts again, from what the other one made.
    expect((await inPlace(old)).answer.epoch).toBe(2);
    expect(await names(old)).toEqual(['A', 'C']);
    expect((await startOnce(old)).status).toBe('degraded');
  });
});

describe('a machine that was replaced while it was off', () => {
  it.each(['on', 'off'])('does not start when it comes back, with jobs %s', async (jobs) => {
    const shared = temporary(newPlace());
    const env = { FACTORY_BACKUP_DESTINATIONS: pathToFileURL(join(shared.dir, 'bucket')).href };
    const old = await installation(env);
    old.env['FACTORY_JOBS'] = jobs;
    const next = temporary(newPlace({ env }));
    mkdirSync(next.data, { recursive: true });
    cpSync(join(old.data, 'keyring'), join(next.data, 'keyring'), { recursive: true });
    expect((await inPlace(next)).answer).toMatchObject({ epoch: 1 });
    // It has made no backup since, and the new one none at all.
    const started = await factory(old, 'serve');
    expect([started.code, started.stderr]).toEqual([4, expect.stringContaining('bucket')]);
    expect(started.stderr).toContain('restore --in-place --plan');
    expect((await factory(old, 'doctor')).stdout).toMatch(/fail +epoch +Another machine took over/);
    expect((await startOnce(next)).status).toBe('degraded');
  });
});

describe('from nothing', () => {
  it('takes a bucket, a key, and a signer that somebody compared', async () => {
    const shared = temporary(newPlace());
    const url = pathToFileURL(join(shared.dir, 'bucket')).href;
    const old = await installation({ FACTORY_BACKUP_DESTINATIONS: url });
    const key = join(shared.dir, 'recovery.key');
    cpSync(join(old.data, 'keyring/backup-recovery.key'), key);
    const bare = temporary(newPlace());
    const from = ['restore', '--from', url, '--identity', key];

    const confirmedOnly = [...from, '--in-place', '--confirm', CONFIRM, '--new-log-key'];
    const unknown = await factoryJson<Failed>(bare, ...confirmedOnly);
    expect([unknown.code, unknown.answer.error.code]).toEqual([4, 'signer-unknown']);
    const [signer = ''] = unknown.answer.error.signers ?? [];
    const plan = await factoryJson<{ plan: { signedBy: string; signerKnown: boolean } }>(
      bare,
      ...from,
      '--in-place',
      '--plan',
    );
    expect(plan.answer.plan).toMatchObject({ signedBy: signer, signerKnown: false });
    expect((await factory(bare, ...from, '--trust', signer, '--to', 'r.db')).code).toBe(0);

    const confirmed = [...from, '--in-place', '--confirm', CONFIRM, '--trust', signer];
    const keyless = await factoryJson<Failed>(bare, ...confirmed);
    expect([keyless.code, keyless.answer.error.code]).toEqual([4, 'log-key-missing']);
    expect(existsSync(join(bare.data, 'factory.db'))).toBe(false);
    expect((await factory(bare, ...confirmed, '--new-log-key')).code).toBe(0);
    expect(await names(bare)).toEqual(['A']);
    expect((await startOnce(bare)).restore).toBe('degraded');
    const result = await verified(bare);
    expect(result.problems).toEqual([]);
    expect(result.notChecked.join(' ')).toContain('the key of their commitments was lost');
    expect(statSync(join(bare.data, 'keyring/backup-trusted.txt')).size).toBeGreaterThan(40);
  });
});
