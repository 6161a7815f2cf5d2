import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { expect, it, onTestFinished } from 'vitest';
import { publicKeyOf } from '../../../scripts/lib/backup/manifest.ts';
import { folderDestination } from '../../../scripts/lib/destinations/folder.ts';
import { keyFiles, replicaKey, sealReplica } from '../../../scripts/lib/keys/replica.ts';
import { sendReplica, sentReplicas } from '../../../scripts/lib/keys/send-replica.ts';
import { oldCopies } from '../../../scripts/lib/keys/whole-replicas.ts';
import type { Knowing } from '../../../scripts/lib/keys/whole-replicas.ts';
import { openChatKeys } from '../../../service/chat/keys/keys.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-05-09T00:00:00.000Z');
const [identity, other] = await Promise.all([generateX25519Identity(), generateX25519Identity()]);
const recipients = [await identityToRecipient(identity)];
const signing = generateKeyPairSync('ed25519').privateKey;
const { signal } = new AbortController();
const stamp = (hoursAgo: number): string => new Date(NOW - hoursAgo * HOUR).toISOString();

/** A host that sent a copy at each of these hours ago, and who looks at them from where. */
async function sent(...hoursAgo: number[]) {
  const dir = mkdtempSync(join(tmpdir(), 'factory-copies-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const [folder, keyringDir, place] = [join(dir, 'state'), join(dir, 'keyring'), join(dir, 'place')];
  for (const made of [folder, keyringDir]) mkdirSync(made);
  const chatKeys = openChatKeys({ keyringDir, installation: 'one', expected: false });
  chatKeys.addSubject('ada');
  chatKeys.close();
  const destination = folderDestination(pathToFileURL(place).href, place);
  const aged = (key: string, hours: number): void =>
    utimesSync(join(place, key), (NOW - hours * HOUR) / 1000, (NOW - hours * HOUR) / 1000);
  const keys: string[] = [];
  for (const hours of hoursAgo) {
    writeFileSync(join(keyringDir, 'commitment.key'), `of ${hours} hours ago`);
    const job = { name: 'factory', keyringDir, folder, destinations: [destination], recipients, signing };
    await sendReplica({ ...job, signal, now: NOW - hours * HOUR });
    const { key } = sentReplicas(folder).at(-1)!;
    aged(key, hours);
    keys.push(key);
  }
  const common = { now: NOW, windowMs: 24 * HOUR, signal, trusted: [publicKeyOf(signing)] };
  const host: Knowing = { ...common, sent: sentReplicas(folder), identities: [] };
  const elsewhere: Knowing = { ...common, sent: [], identities: [identity] };
  const nobody: Knowing = { ...common, sent: [], identities: [] };
  return {
    ...{ keys, host, elsewhere, nobody, keyringDir },
    put: (key: string, content: Buffer | string, hours: number): void => {
      writeFileSync(join(place, key), content);
      aged(key, hours);
    },
    old: async (knowing: Knowing) =>
      oldCopies(destination, await destination.list('keyring/factory/', { signal }), knowing),
  };
}

/** What somebody else makes of the copy that is numbered 9. */
async function made(by: KeyObject, files: { name: string; text: string }[], number = 9): Promise<Buffer> {
  const content = files.map(({ name, text }) => ({ name, mode: 0o600, base64: btoa(text) }));
  return sealReplica(
    { name: 'factory', sequence: number, madeAt: stamp(25), files: content },
    recipients,
    by,
  );
}
const NINTH = replicaKey('factory', stamp(25), 9);

it('the host, which remembers, and whoever can open them come to the same plan', async () => {
  const copies = await sent(70, 50, 26, 2);
  const [first, second] = copies.keys;
  for (const who of [copies.host, copies.elsewhere])
    expect(await copies.old(who)).toEqual({ old: [first, second], kept: null });
});

it('without memory and without a key all stay, and that is said', async () => {
  const copies = await sent(70, 50, 26, 2);
  expect(await copies.old(copies.nobody)).toEqual({
    old: [],
    kept: expect.stringMatching(/--identity FILE and --trust KEY/),
  });
  expect((await copies.old({ ...copies.elsewhere, trusted: [] })).old).toEqual([]);
  expect((await copies.old({ ...copies.elsewhere, identities: [other] })).old).toEqual([]);
  // Where nothing would go anyway, there is nothing to say.
  for (const one of [await sent(70), await sent(20, 2)])
    expect(await one.old(one.nobody)).toEqual({ old: [], kept: null });
});

it.each<[string, () => Promise<Buffer | string>]>([
  ['eight bytes', async () => 'garbage!'],
  [
    'a copy of another signer',
    () => made(generateKeyPairSync('ed25519').privateKey, [{ name: 'a', text: 'b' }]),
  ],
  ['a good copy of another number', () => made(signing, [{ name: 'commitment.key', text: 'x' }], 8)],
])('%s under a newer name push out nothing', async (_what, content) => {
  const copies = await sent(49);
  copies.put(NINTH, await content(), 25);
  for (const who of [copies.host, copies.elsewhere, copies.nobody])
    expect(await copies.old(who)).toEqual({ old: [], kept: expect.stringContaining(NINTH) });
});

it('a copy that was written over counts for nothing', async () => {
  const copies = await sent(70, 26);
  copies.put(copies.keys[1] ?? '', 'gone', 26);
  for (const who of [copies.host, copies.elsewhere]) expect((await copies.old(who)).old).toEqual([]);
});

it('two in a row that lack the same keys push out no copy that has them', async () => {
  const copies = await sent(70);
  const eighth = await made(signing, [{ name: 'commitment.key', text: 'x' }], 8);
  copies.put(replicaKey('factory', stamp(60), 8), eighth, 60);
  copies.put(NINTH, await made(signing, [{ name: 'commitment.key', text: 'x' }]), 25);
  expect(await copies.old(copies.elsewhere)).toEqual({
    old: [],
    kept: expect.stringContaining('lacks keys'),
  });
});

it('one whose root key is another pushes out no copy that has the right one', async () => {
  const copies = await sent(70, 50);
  const forged = keyFiles(copies.keyringDir).map((file) =>
    file.name === 'chat-root.key' ? { ...file, base64: randomBytes(32).toString('base64') } : file,
  );
  const sealed = await sealReplica(
    { name: 'factory', sequence: 9, madeAt: stamp(25), files: forged },
    ...[recipients, signing],
  );
  copies.put(NINTH, sealed, 25);
  expect((await copies.old(copies.elsewhere)).old).toEqual([copies.keys[0]]);
});

it('what was sent is remembered for the window, with the one that others go for', async () => {
  const copies = await sent(90, 70, 50, 26, 2);
  expect(copies.host.sent.map(({ key }) => key)).toEqual(copies.keys.slice(2));
});
