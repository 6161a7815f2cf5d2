import { generateKeyPairSync, hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { generateX25519Identity } from 'age-encryption';
import type { Entry } from '../../scripts/lib/backup/catalog.ts';
import { stemOf } from '../../scripts/lib/backup/format.ts';
import type { Manifest } from '../../scripts/lib/backup/format.ts';
import { manifestText, signManifest } from '../../scripts/lib/backup/manifest.ts';
import { signStatement, wrapKey } from '../../scripts/lib/backup/rewrapped.ts';
import { sealBytes } from '../../scripts/lib/backup/sealed.ts';

/** What somebody writes who has everything that lies on a production host. */
export interface Thief {
  /** With the host's key to the bucket; `key` as in manifests. */
  put(key: string, body: Buffer): unknown;
  /** The host's key that signs manifests. */
  signing: KeyObject;
  /** One of the host's recipients. */
  recipient: string;
  now(): number;
}

const DAY_MS = 24 * 3_600_000;

/** Writes over every object of a backup, and puts further key objects beside it. */
export async function spoil(
  { put, signing, recipient, now }: Thief,
  { manifest, key }: Entry,
): Promise<void> {
  const { data, pages } = manifest.objects;
  await put(data.key, Buffer.from('gone'));
  if (pages) await put(pages.key, Buffer.alloc(pages.bytes));
  const other = await sealBytes(Buffer.from(`${await generateX25519Identity()}\n`), [recipient]);
  await put(manifest.objects.key.key, other);
  const object = {
    key: wrapKey(manifest.backupId, 999, 'age'),
    bytes: other.length,
    sha256: hash('sha256', other),
  };
  const { backupId } = manifest;
  const statement = {
    ...{ format: 'build-factory/backup-key/1' as const, backupId, number: 999, object },
    ...{ recipients: [recipient], madeAt: new Date(now()).toISOString() },
  };
  await put(object.key, other);
  await put(wrapKey(backupId, 999, 'json'), Buffer.from(signStatement(statement, signing)));
  const forged = { ...manifest, objects: { ...manifest.objects, data: { ...data, bytes: 4 } } };
  await put(key, Buffer.from(manifestText(signAgain(forged, signing))));
}

function signAgain({ signature: _, ...unsigned }: Manifest, key: KeyObject): Manifest {
  return signManifest(unsigned, key);
}

/**
 * The nth backup that looks newer than all others, with objects of the sizes and digests that its manifest names. Every
 * fourth claims to be older than the theft; `fence`: it claims an epoch that would put all others aside.
 */
export async function fake(
  { put, signing, recipient, now }: Thief,
  { manifest: model }: Entry,
  n: number,
  { stolenAt, fence = false }: { stolenAt: number; fence?: boolean },
): Promise<void> {
  const sequence = 1_000_000 + n;
  const startedAt = new Date(n % 4 === 0 ? stolenAt - 5 * DAY_MS + n : now() + n).toISOString();
  const backupId = stemOf('full', 'app', startedAt, sequence);
  const own = await generateX25519Identity();
  const bodies = {
    data: Buffer.from(`not a database ${n}`),
    pages: Buffer.from('no pages'),
    key: n % 2 === 0 ? await sealBytes(Buffer.from(`${own}\n`), [recipient]) : Buffer.from('no key'),
  };
  const object = (name: keyof typeof bodies, ending: string) => ({
    ...{ key: `${backupId}.${ending}`, bytes: bodies[name].length, sha256: hash('sha256', bodies[name]) },
  });
  const objects = {
    data: object('data', 'sqlite.zst.age'),
    pages: object('pages', 'pages.zst.age'),
    key: object('key', 'key.age'),
  };
  const times = { startedAt, finishedAt: startedAt };
  const manifest = {
    ...{ ...model, backupId, sequence, ...times, objects },
    ...(fence ? { epoch: 99, epochSince: 1 } : {}),
  };
  // Some are signed by somebody else, and some by nobody.
  const key = n % 3 === 0 ? generateKeyPairSync('ed25519').privateKey : signing;
  const text = manifestText(n % 7 === 0 ? manifest : signAgain(manifest, key));
  for (const name of ['data', 'pages', 'key'] as const) await put(objects[name].key, bodies[name]);
  await put(`${backupId}.manifest.json`, Buffer.from(text));
}
