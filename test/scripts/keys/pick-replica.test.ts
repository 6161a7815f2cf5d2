import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { expect, it, onTestFinished } from 'vitest';
import { publicKeyOf } from '../../../scripts/lib/backup/manifest.ts';
import { folderDestination } from '../../../scripts/lib/destinations/folder.ts';
import { pickReplica } from '../../../scripts/lib/keys/pick-replica.ts';
import { keyFiles, replicaKey, sealReplica } from '../../../scripts/lib/keys/replica.ts';
import type { KeyFile } from '../../../scripts/lib/keys/replica.ts';
import { openChatKeys, type ChatKeys } from '../../../service/chat/keys/keys.ts';

const identity = await generateX25519Identity();
const recipients = [await identityToRecipient(identity)];
const signing = generateKeyPairSync('ed25519').privateKey;
const { signal } = new AbortController();
const NOW = Date.parse('2026-05-09T00:00:00.000Z');

/** A destination with copies, each put there some hours ago under a number, and the keyring that they are of. */
function place() {
  const dir = mkdtempSync(join(tmpdir(), 'factory-pick-'));
  const keys = openChatKeys({ keyringDir: join(dir, 'keyring'), installation: 'one', expected: false });
  onTestFinished(() => {
    keys.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const there = join(dir, 'there');
  const destination = folderDestination(pathToFileURL(there).href, there);
  const files = (): KeyFile[] => keyFiles(join(dir, 'keyring'));
  return {
    ...{ keys, files },
    async put(number: number, hoursAgo: number, content = files(), by = signing): Promise<string> {
      const [at, stamp] = [NOW - hoursAgo * 3_600_000, new Date(NOW).toISOString()];
      const key = replicaKey('factory', stamp, number);
      const made = { name: 'factory', sequence: number, madeAt: stamp, files: content };
      await destination.put(key, { data: await sealReplica(made, recipients, by) }, { signal });
      utimesSync(join(there, key), at / 1000, at / 1000);
      return key;
    },
    async pick() {
      const picking = { from: destination, identities: [identity], trusted: [publicKeyOf(signing)], signal };
      const { key, passedOver } = await pickReplica(await destination.list('keyring/', { signal }), picking);
      return { key, passedOver: passedOver.map((one) => one.key).sort() };
    },
  };
}

const withRoot = (files: KeyFile[], root: Buffer): KeyFile[] =>
  files.map((file) => (file.name === 'chat-root.key' ? { ...file, base64: root.toString('base64') } : file));

/** All keys made anew under the same names: they open with each other. */
function otherKeys(of: (keys: ChatKeys) => void): KeyFile[] {
  const other = place();
  of(other.keys);
  return other.files();
}

it('takes the newest where all agree, however many there are', async () => {
  const { keys, put, pick } = place();
  const made: string[] = [];
  for (let n = 1; n <= 60; n += 1) {
    keys.addSubject(`subject ${n}`);
    made.push(await put(n, 100 - n));
  }
  expect(await pick()).toEqual({ key: made.at(-1), passedOver: [] });
});

it('takes none whose keys do not open, or are others, though the host signed it', async () => {
  const { keys, files, put, pick } = place();
  keys.addSubject('ada');
  keys.current('one', 'ada');
  await put(1, 30);
  const second = await put(2, 26);
  const forged = [
    await put(40, 25, withRoot(files(), randomBytes(32))),
    await put(41, 24, withRoot(files(), randomBytes(32))),
    ...(await Promise.all(
      [42, 43].map((number) =>
        put(
          ...[number, 23],
          otherKeys((other) => {
            other.addSubject('ada');
            other.current('one', 'ada');
          }),
        ),
      ),
    )),
  ];
  expect(await pick()).toEqual({ key: second, passedOver: forged });
  // The host goes on, beside them.
  keys.addSubject('ben');
  const last = await put(44, 1);
  expect((await pick()).key).toBe(last);
});

it('lets no late copy with a low number speak for the time before', async () => {
  const { keys, put, pick } = place();
  keys.addSubject('ada');
  const genuine = [await put(5, 30), await put(6, 20)];
  await put(
    1,
    2,
    otherKeys((other) => other.addSubject('ada')),
  );
  expect((await pick()).key).toBe(genuine[1]);
});

it('lets no row of false copies speak for each other', async () => {
  const { keys, put, pick } = place();
  keys.addSubject('ada');
  const genuine = await put(1, 100);
  const false_ = otherKeys((other) => other.addSubject('ada'));
  for (let n = 2; n <= 40; n += 1) await put(n, 50 - n / 2, false_);
  expect((await pick()).key).toBe(genuine);
});

it('says why where none opens', async () => {
  const { put, pick } = place();
  await put(1, 3, undefined, generateKeyPairSync('ed25519').privateKey);
  await expect(pick()).rejects.toMatchObject({ code: 'signer-foreign' });
});
