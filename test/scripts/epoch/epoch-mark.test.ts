import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { leaveMark, markKey, readMarks } from '../../../scripts/lib/epoch/epoch-mark.ts';
import { newerEpoch } from '../../../scripts/lib/epoch/replaced.ts';
import { folderDestination } from '../../../scripts/lib/destinations/folder.ts';
import { publicKeyOf } from '../../../service/ed25519.ts';

const limits = { signal: new AbortController().signal };
const signing = generateKeyPairSync('ed25519').privateKey;
const began = { name: 'app', epoch: 2, since: 7, at: '2026-05-01T00:00:00.000Z' };
const key = markKey(began, publicKeyOf(signing));

function place() {
  const dir = mkdtempSync(join(tmpdir(), 'factory-marks-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const destination = folderDestination(pathToFileURL(dir).href, dir);
  return { dir, destination, listed: () => destination.list('full/app/', limits) };
}

it('a mark says when an epoch began by the destination’s clock, and is never written over', async () => {
  const { dir, destination, listed } = place();
  await leaveMark(destination, began, signing, limits);
  utimesSync(join(dir, key), 1000, 1000);
  await leaveMark(destination, began, signing, limits);
  expect(statSync(join(dir, key)).mtimeMs).toBe(1_000_000);
  expect(readdirSync(join(dir, 'full/app'))).toHaveLength(1);
  expect(await readMarks(destination, await listed(), limits)).toMatchObject([
    { storedAt: '1970-01-01T00:16:40.000Z', manifest: { epoch: 2, epochSince: 7 } },
  ]);
});

it('one that was changed, or lies at another place, is none', async () => {
  const { dir, destination, listed } = place();
  await leaveMark(destination, began, signing, limits);
  const text = readFileSync(join(dir, key), 'utf8');
  writeFileSync(join(dir, key), text.replace('"since":7', '"since":1'));
  writeFileSync(join(dir, key.replace('000007', '000001')), text);
  writeFileSync(join(dir, key.replace('000002', '000009')), 'garbage');
  expect(await readMarks(destination, await listed(), limits)).toEqual([]);
});

it('a mark of a signer that counts shows a host that it was replaced, before any backup does', async () => {
  const { destination, listed } = place();
  await leaveMark(destination, began, signing, limits);
  const sizes = new Map((await listed()).map((one) => [one.key, one.bytes]));
  const look = (epoch: number, trusted: string[]) =>
    newerEpoch(destination, { newest: [], sizes }, { epoch, trusted, ...limits });
  expect(await look(1, [publicKeyOf(signing)])).toMatchObject({ epoch: 2, backupId: key });
  expect(await look(2, [publicKeyOf(signing)])).toBeNull();
  expect(await look(1, ['somebody'])).toBeNull();
});
