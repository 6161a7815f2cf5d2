import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sealBytes } from '../../../scripts/lib/backup/sealed.ts';
import type { Destination } from '../../../scripts/lib/destinations/destination.ts';
import { folderDestination } from '../../../scripts/lib/destinations/folder.ts';
import {
  keyFiles,
  oldReplicas,
  openReplica,
  replicaKey,
  sealReplica,
} from '../../../scripts/lib/keys/replica.ts';
import { sendReplica } from '../../../scripts/lib/keys/send-replica.ts';
import { FactoryError } from '../../../service/errors.ts';

const DAY = 24 * 3_600_000;
const NOW = Date.parse('2026-05-01T00:00:00.000Z');
const [key, other] = await Promise.all([generateX25519Identity(), generateX25519Identity()]);
const recipients = [await identityToRecipient(key)];
const signing = generateKeyPairSync('ed25519').privateKey;
const { signal } = new AbortController();

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'factory-keyring-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function keyring(dir: string): string {
  const path = join(dir, 'keyring');
  mkdirSync(path);
  for (const name of ['audit-signing.pem', 'commitment.key', 'proofs.json', 'fence.json'])
    writeFileSync(join(path, name), `${name}!`);
  for (const name of ['backup-recovery.key', 'backup-drill-0a1b.key', 'elsewhere.key'])
    writeFileSync(join(path, name), `# made\n${key}\n`);
  return path;
}

describe('a copy of the keyring', () => {
  it('holds what the service needs, and no key that would open it', () => {
    expect(keyFiles(keyring(folder())).map(({ name }) => name)).toEqual([
      'audit-signing.pem',
      'commitment.key',
      'proofs.json',
    ]);
  });

  it('is read as it was made, by its recipients alone', async () => {
    const files = keyFiles(keyring(folder()));
    const madeAt = new Date(NOW).toISOString();
    const sealed = await sealReplica({ name: 'factory', sequence: 7, madeAt, files }, recipients, signing);
    const at = replicaKey('factory', madeAt, 7);
    expect((await openReplica(sealed, [key], at)).files).toEqual(files);
    await expect(openReplica(sealed, [other], at)).rejects.toMatchObject({ code: 'identity-wrong' });
    await expect(openReplica(sealed, [key], replicaKey('factory', madeAt, 8))).rejects.toMatchObject({
      code: 'keyring-copy-damaged',
    });
    const foreign = await sealBytes(Buffer.from('{"format":"build-factory/keyring/1"}'), recipients);
    await expect(openReplica(foreign, [key], at)).rejects.toMatchObject({ code: 'keyring-copy-damaged' });
  });
});

describe('a copy is sent', () => {
  function job(dir: string, destinations: Destination[], now = NOW) {
    const state = join(dir, 'state');
    mkdirSync(state, { recursive: true });
    return {
      ...{ name: 'factory', keyringDir: join(dir, 'keyring'), folder: state, destinations },
      ...{ recipients, signing, signal, now },
    };
  }
  const at = (dir: string): Destination => folderDestination(pathToFileURL(dir).href, dir);

  it('where keys or recipients changed, or the last one is of yesterday; else not', async () => {
    const dir = folder();
    keyring(dir);
    const places = [at(join(dir, 'one'))];
    expect(await sendReplica(job(dir, places))).toMatchObject({ sequence: 1, sent: [{ status: 'ok' }] });
    expect(await sendReplica(job(dir, places, NOW + DAY - 1))).toBeNull();
    expect(await sendReplica(job(dir, places, NOW + DAY))).toMatchObject({ sequence: 2 });
    writeFileSync(join(dir, 'keyring/epoch.json'), '{}');
    expect(await sendReplica(job(dir, places, NOW + DAY))).toMatchObject({ sequence: 3 });
    const more = { ...job(dir, places, NOW + DAY), recipients: [await identityToRecipient(other)] };
    expect(await sendReplica(more)).toMatchObject({ sequence: 4 });
    rmSync(join(dir, 'state'), { recursive: true });
    expect(await sendReplica(job(dir, places, NOW + DAY))).toMatchObject({ sequence: 5 });
  });

  it('again to a destination that had none', async () => {
    const dir = folder();
    keyring(dir);
    const down = async (): Promise<never> => {
      throw new FactoryError({ code: 'destination-failed', op: 'test', message: 'down', hint: '' });
    };
    const [good, bad] = [at(join(dir, 'one')), { ...at(join(dir, 'two')), put: down, list: down }];
    const first = await sendReplica(job(dir, [good, bad]));
    expect(first?.sent.map(({ status }) => status)).toEqual(['ok', 'failed']);
    const second = await sendReplica(job(dir, [good, at(join(dir, 'two'))]));
    expect(second?.sent.map(({ status }) => status)).toEqual(['ok', 'ok']);
  });

  it('to a destination on the same disk, where the newest copy alone stays: a key that was taken away is gone with the next one', async () => {
    const dir = folder();
    const place = at(join(dir, 'here'));
    const keyringDir = keyring(dir);
    const here = { ...job(dir, [place]), keyringDir, isHere: () => true };
    await sendReplica(here);
    writeFileSync(join(keyringDir, 'proofs.json'), 'changed');
    await sendReplica(here);
    const left = await place.list('keyring/factory/', { signal });
    expect(left.map(({ key: name }) => name)).toEqual([expect.stringContaining('-000002.keyring.age')]);
  });
});

describe('copies that may go', () => {
  const copy = (number: number, days: number) => ({
    key: replicaKey('factory', new Date(NOW - days * DAY).toISOString(), number),
    storedAt: NOW - days * DAY,
    whole: true,
  });
  it.each([
    ['not the only one, however old', [copy(1, 90)], 0],
    ['none before a newer one is as old as the window', [copy(1, 5), copy(2, 0.9), copy(3, 0.1)], 0],
    [
      'those before the newest that is as old as the window',
      [copy(1, 9), copy(2, 3), copy(3, 1), copy(4, 0.5)],
      2,
    ],
    ['nothing that is no copy', [{ key: 'keyring/factory/x', storedAt: 0, whole: true }], 0],
    ['none for a newer one that may be anything', [copy(1, 9), { ...copy(9, 2), whole: false }], 0],
    ['those before a whole one', [copy(1, 9), copy(2, 3), { ...copy(9, 2), whole: false }], 1],
  ])('%s', (_what, copies, count) => {
    const old = oldReplicas(copies, NOW);
    expect(old).toEqual(copies.slice(0, count).map(({ key: name }) => name));
  });

  it('are all but the newest where no other machine has one', () => {
    const copies = [copy(1, 0.2), copy(2, 0.1), copy(3, 0)];
    expect(oldReplicas(copies, NOW, 0)).toEqual(copies.slice(0, 2).map(({ key: name }) => name));
  });
});
