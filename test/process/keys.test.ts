import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import Database from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { factory, factoryJson, newPlace, ROOT } from './service.ts';
import type { Place } from './service.ts';

interface Shown {
  recipients: { recipient: string; privateKey: string | null; provenAt: string | null }[];
  proven: boolean;
  onHost: boolean;
  signer: { publicKey: string; fingerprint: string };
  problem: string | null;
}

function placeWith(env: Record<string, string> = {}): Place {
  const place = newPlace({ env });
  onTestFinished(() => rmSync(place.dir, { recursive: true, force: true }));
  const db = new Database(join(place.dir, 'app.db'));
  db.exec("create table t (v text); insert into t values ('here')");
  db.close();
  return place;
}

/** Makes keys on the operator's machine; answers it, and what the host is configured with. */
async function operator(): Promise<{ place: Place; env: Record<string, string> }> {
  const place = placeWith();
  const recipients: string[] = [];
  for (const name of ['recovery.key', 'drill.key']) {
    const made = await factoryJson<{ recipient: string }>(place, 'keys', 'new', '--out', name);
    expect(made.code).toBe(0);
    expect(statSync(join(place.dir, name)).mode & 0o077).toBe(0);
    recipients.push(made.answer.recipient);
  }
  expect((await factory(place, 'keys', 'new', '--out', 'drill.key')).code).toBe(4);
  return { place, env: { FACTORY_ENV: 'production', FACTORY_BACKUP_RECIPIENTS: recipients.join(' ') } };
}

async function withInput(place: Place, input: string, ...args: string[]): Promise<number | null> {
  const child = spawn(process.execPath, [join(ROOT, 'scripts/launch.mjs'), ...args], {
    cwd: place.dir,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...place.env },
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
  });
  child.stdin?.end(input);
  const [code] = await Promise.all([
    new Promise<number | null>((resolve) => child.on('exit', resolve)),
    child.stdout && text(child.stdout),
  ]);
  return code;
}

describe('a production host', () => {
  it('makes no backup and no key without recipients, and says how to make them', async () => {
    const place = placeWith({ FACTORY_ENV: 'production' });
    const ran = await factory(place, 'backup', '--db', 'app.db');
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('keys new --out recovery.key');
    expect(existsSync(join(place.data, 'keyring/backup-recovery.key'))).toBe(false);
    const { answer } = await factoryJson<Shown>(place, 'keys', 'show');
    expect(answer).toMatchObject({ recipients: [], proven: false, problem: expect.stringContaining('two') });
  });

  it('has its keys proven on another machine, and never holds them', async () => {
    const { place: yours, env } = await operator();
    const host = placeWith(env);
    expect((await factory(host, 'backup', '--db', 'app.db')).code).toBe(0);
    const { stdout: canary } = await factory(host, 'keys', 'prove', '--challenge');
    writeFileSync(join(yours.dir, 'canary.txt'), canary);
    for (const key of ['recovery.key', 'drill.key']) {
      const opened = await factory(yours, 'keys', 'prove', '--identity', key, '--canary', 'canary.txt');
      expect(opened.code).toBe(0);
      expect((await factory(host, 'keys', 'prove', '--proof', opened.stdout.trim())).code).toBe(0);
    }
    const { answer } = await factoryJson<Shown>(host, 'keys', 'show');
    expect(answer).toMatchObject({ proven: true, onHost: false, problem: null });
    expect(answer.recipients.map(({ privateKey }) => privateKey)).toEqual([null, null]);
    const wrong = await factoryJson<{ error: { code: string } }>(
      host,
      ...['keys', 'prove', '--proof', `${'x'.repeat(20)}.y`],
    );
    expect([wrong.code, wrong.answer.error.code]).toEqual([1, 'proof-forged']);
  });

  it('has them proven in one step from standard input, and doctor warns of a key that lies there', async () => {
    const { place: yours, env } = await operator();
    const host = placeWith(env);
    const keys = ['recovery.key', 'drill.key'].map((name) => readFileSync(join(yours.dir, name), 'utf8'));
    expect(await withInput(host, keys.join('\n'), 'keys', 'prove', '--identity', '-')).toBe(0);
    expect((await factoryJson<Shown>(host, 'keys', 'show')).answer).toMatchObject({
      ...{ proven: true, onHost: false },
    });
    writeFileSync(join(host.data, 'keyring/backup-drill.key'), keys[1] ?? '', { mode: 0o600 });
    const { answer } = await factoryJson<{ checks: { name: string; status: string; detail: string }[] }>(
      ...([host, 'doctor'] as const),
    );
    expect(answer.checks.find(({ name }) => name === 'keyring')).toMatchObject({
      ...{ status: 'warn', detail: expect.stringContaining('production host') },
    });
    expect((await factoryJson<Shown>(host, 'keys', 'show')).answer.onHost).toBe(true);
  });
});

describe('a first installation', () => {
  it('has its keys here, and says so until a copy of the recovery key was shown to work', async () => {
    const place = placeWith();
    expect((await factory(place, 'backup', '--db', 'app.db')).stderr).toContain('recovery key');
    const shown = await factory(place, 'keys', 'show');
    expect(shown.stdout).toContain('Private keys lie here');
    const original = join(place.data, 'keyring/backup-recovery.key');
    linkSync(original, join(place.dir, 'linked.key'));
    symlinkSync(original, join(place.dir, 'symlinked.key'));
    copyFileSync(original, join(place.data, 'keyring/copied.key'));
    writeFileSync(
      join(place.dir, 'canary.txt'),
      (await factory(place, 'keys', 'prove', '--challenge')).stdout,
    );
    for (const identity of [
      [],
      ['--identity', original],
      ['--identity', 'linked.key'],
      ['--identity', 'symlinked.key'],
      ['--identity', join(place.data, 'keyring/copied.key')],
      ['--canary', 'canary.txt'],
      ['--identity', original, '--canary', 'canary.txt'],
    ]) {
      const refused = await factoryJson<{ error: { code: string; hint: string } }>(
        ...([place, 'keys', 'prove', ...identity] as const),
      );
      expect([refused.code, refused.answer.error.code]).toEqual([4, 'proof-of-original']);
      expect(refused.answer.error.hint).toContain('keys prove --identity COPY');
    }
    expect((await factoryJson<Shown>(place, 'keys', 'show')).answer.proven).toBe(false);
    copyFileSync(original, join(place.dir, 'copy.key'));
    const proven = await factoryJson<{ proven: boolean; left: string[] }>(
      ...([place, 'keys', 'prove', '--identity', 'copy.key'] as const),
    );
    expect(proven).toEqual({ code: 0, answer: expect.objectContaining({ proven: true, left: [] }) });
    const after = (await factory(place, 'keys', 'show')).stdout.replaceAll(/\s+/g, ' ');
    expect(after).toMatch(/its copy was shown to work at 20\S+Z\. The key itself still lies here/);
    expect(after).not.toContain('copy the key to another machine');
    rmSync(original);
    rmSync(join(place.data, 'keyring/copied.key'));
    expect((await factory(place, 'keys', 'show')).stdout).toMatch(/Another\s+key\s+still\s+lies\s+here/);
    expect((await factory(place, 'keys', 'prove', '--challenge', '--proof', 'x')).code).toBe(2);
  });
});
