import { cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fork } from 'node:child_process';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { launch, newPlace, serve } from './service.ts';
import type { Place } from './service.ts';
import {
  CONFIRM,
  factory,
  factoryJson,
  temporary,
  invite,
  names,
  installation,
  startOnce,
  inPlace,
  verified,
  photograph,
} from './in-place.ts';
import type { Failed, Report } from './in-place.ts';

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
