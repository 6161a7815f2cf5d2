import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { recipientsFor, signingKey } from '../../../scripts/lib/backup/keys.ts';
import { applyRotation } from '../../../scripts/lib/keys/rotate.ts';
import { makeCanaries, openCanaries, recordProofs } from '../../../scripts/lib/keys/canary.ts';
import { parseConfig } from '../../../service/config.ts';
import type { Config } from '../../../service/config.ts';
import {
  privateKeyFiles,
  recipientsToProve,
  recoveryKeyState,
  whyNoBackupHere,
  whyNoDrillHere,
} from '../../../service/jobs/recovery-key.ts';

const NOW = Date.parse('2026-05-01T00:00:00.000Z');
const DAY = 24 * 3_600_000;
const keys = await Promise.all([1, 2, 3].map(() => generateX25519Identity()));
const publics = await Promise.all(keys.map((key) => identityToRecipient(key)));
const [first = '', second = '', third = ''] = keys;
const both = publics.slice(0, 2);

let dir: string;
function configOf(env: Record<string, string>): Config {
  const parsed = parseConfig(env, { cwd: dir });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}
const production = (recipients: readonly string[]): Config =>
  configOf({ FACTORY_ENV: 'production', FACTORY_BACKUP_RECIPIENTS: recipients.join(' ') });

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'factory-keys-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
});

async function proofs(config: Config, identities: string[], now = NOW): Promise<string[]> {
  const canaries = await makeCanaries(config.backup.recipients, signingKey(config), now);
  return openCanaries(canaries, identities);
}
const keep = (config: Config, texts: readonly string[], now = NOW) =>
  recordProofs(config.keyringDir, texts, {
    signing: signingKey(config),
    ...{ recipients: config.backup.recipients, now },
  });

describe('a recovery key', () => {
  it('counts as proven when every recipient opened its own canary', async () => {
    const config = production(both);
    expect(recoveryKeyState(config)).toMatchObject({ proven: false, onHost: false });
    keep(config, await proofs(config, [first]));
    expect(recoveryKeyState(config).proven).toBe(false);
    keep(config, await proofs(config, [second]));
    expect(recoveryKeyState(config)).toMatchObject({ proven: true, onHost: false });
  });

  it('does not count for another recipient, who has to be proven anew', async () => {
    const config = production(both);
    keep(config, await proofs(config, [first, second]));
    const changed = production([publics[0] ?? '', publics[2] ?? '']);
    expect(recoveryKeyState(changed).proven).toBe(false);
    keep(changed, await proofs(changed, [third]));
    expect(recoveryKeyState(changed).proven).toBe(true);
  });

  it('alone needs a proof on a first installation: its drill key is meant for this machine', async () => {
    const config = configOf({});
    const { recipients } = await recipientsFor(config);
    expect(recipientsToProve(config)).toEqual(recipients.slice(0, 1));
    // Named by their owner, or in production, none of them is meant for this machine.
    expect(recipientsToProve(production(both))).toEqual(both);
    const copied = { ...config, environment: 'production' as const };
    expect(recipientsToProve(copied)).toEqual(recipients);
    const keyring = config.keyringDir;
    await applyRotation(keyring, { before: recipients, after: both });
    expect(recipientsToProve(config)).toEqual(both);
    const made = await applyRotation(keyring, { before: both, after: null });
    expect(recipientsToProve(config)).toEqual(made.recipients.slice(0, 1));
  });

  it('that is another one opens no canary', async () => {
    await expect(proofs(production(both), [third])).rejects.toMatchObject({ code: 'identity-wrong' });
  });

  it('is not proven by a proof of another installation, a changed one or an old one', async () => {
    const config = production(both);
    const [proof = ''] = await proofs(config, [first]);
    const [body = '', signature = ''] = proof.split('.');
    const other = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
    const forged = Buffer.from(JSON.stringify({ ...other, recipient: publics[1] })).toString('base64url');
    for (const text of [`${forged}.${signature}`, 'x', '', `${proof}.x`])
      expect(() => keep(config, [text])).toThrowError(expect.objectContaining({ code: 'proof-forged' }));
    expect(() => keep(config, [proof], NOW + 31 * DAY)).toThrowError(
      expect.objectContaining({ code: 'proof-outdated' }),
    );
    expect(() => keep(production(publics), [proof])).toThrowError(
      expect.objectContaining({ code: 'proof-outdated' }),
    );
    rmSync(join(config.keyringDir, 'backup-signing.pem'));
    expect(() => keep(config, [proof])).toThrowError(expect.objectContaining({ code: 'proof-forged' }));
  });

  it('is not proven by a file that somebody wrote', async () => {
    const config = production(both);
    keep(config, await proofs(config, [first, second]));
    const path = join(config.keyringDir, 'proofs.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"proof": "./g, '"proof": "x'));
    expect(recoveryKeyState(config).proven).toBe(false);
    writeFileSync(path, '{');
    expect(recoveryKeyState(config).proven).toBe(false);
  });

  it('is told from a damaged canary and from no canary', async () => {
    const config = production(both);
    await expect(openCanaries('hello', [first])).rejects.toMatchObject({ code: 'canary-malformed' });
    const canaries = await makeCanaries([publics[0] ?? ''], signingKey(config), NOW);
    const changed = canaries.replace(/[A-Za-z0-9+/]{8}=*\n-----END/, 'AAAAAAAA\n-----END');
    await expect(openCanaries(changed, [first])).rejects.toMatchObject({
      code: expect.stringMatching(/damaged|malformed/),
    });
  });
});

describe('where private keys lie', () => {
  it('is this machine on a first installation, and nowhere on a production host', async () => {
    const local = configOf({});
    await recipientsFor(local);
    expect(privateKeyFiles(local)).toHaveLength(2);
    expect([recoveryKeyState(local).onHost, whyNoBackupHere(local), whyNoDrillHere(local)]).toEqual([
      true,
      null,
      null,
    ]);
    rmSync(local.keyringDir, { recursive: true });
    const host = production(both);
    expect(await recipientsFor(host)).toEqual({ recipients: both, made: null });
    expect(privateKeyFiles(host)).toEqual([]);
    expect(whyNoDrillHere(host)).toContain('--identity');
  });

  it.each([0, 1])('production with %i recipients makes neither keys nor backups', async (count) => {
    const host = production(both.slice(0, count));
    await expect(recipientsFor(host)).rejects.toMatchObject({
      code: 'recipients-missing',
      hint: expect.stringContaining('factory keys new'),
    });
    expect(whyNoBackupHere(host)).toContain('at least two');
    expect(privateKeyFiles(host)).toEqual([]);
  });
});
