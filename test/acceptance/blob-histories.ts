import { createHash, generateKeyPairSync } from 'node:crypto';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { blobKey, blobListKey, blobListText, isClaim, isShared } from '../../scripts/lib/backup/blob-list.ts';
import { listBackups, readCatalog } from '../../scripts/lib/backup/catalog.ts';
import { FORMAT_WITH_BLOBS, stemOf } from '../../scripts/lib/backup/format.ts';
import type { Manifest } from '../../scripts/lib/backup/format.ts';
import { manifestText, signManifest } from '../../scripts/lib/backup/manifest.ts';
import { planBlobs } from '../../scripts/lib/backup/prune-blobs.ts';
import { agesFrom, planPrune, untimely } from '../../scripts/lib/backup/prune.ts';
import { removeBlobs } from '../../scripts/lib/backup/remove-blobs.ts';
import { removePlanned } from '../../scripts/lib/backup/remove.ts';
import { send } from '../../scripts/lib/backup/send.ts';
import type { Parcel } from '../../scripts/lib/backup/send.ts';
import type { Destination, Stored } from '../../scripts/lib/destinations/destination.ts';
import { FactoryError } from '../../service/errors.ts';
import type { Outcome, Run } from './lab.ts';

/**
 * Random histories of one destination: hosts that make backups with attachments and machines that prune, several at a time,
 * each cut off anywhere, their calls in any order. After every call each backup that is listed has to have all that it names.
 */

const NAME = 'factory';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const BEGIN = Date.parse('2026-05-01T00:00:00Z');
const RETENTION_DAYS = 1;
const CALL_MS = 5_000;
/** Turns of what others have to have a chance to come before. */
const SLOW = 10;
const { signal } = new AbortController();
const { privateKey } = generateKeyPairSync('ed25519');
const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

/** Attachments that there can be: their names in the database, and the sealed bytes. */
export const FILES = Array.from({ length: 5 }, (_, n) => ({
  name: sha256(`name ${n}`),
  bytes: Buffer.alloc(40 + n, n),
}));

interface Actor {
  does: 'backup' | 'prune';
  /** Which attachments the database of this host has. */
  files: number[];
  /** Turns that others have before it begins. */
  late: number;
  /** The call during which it is killed; null: it ends by itself. */
  dies: { at: number; after: boolean } | null;
}

/** A few quiet nights, after which older backups are gone and their attachments are not, and then several at a time. */
interface Episode {
  nights: number[];
  /** Since the last night, in ms. */
  pause: number;
  clash: Actor[];
}

const files = fc.uniqueArray(fc.nat({ max: FILES.length - 1 }), { maxLength: 3 });
const actorWho = (does: Actor['does']): fc.Arbitrary<Actor> =>
  fc.record({
    ...{ does: fc.constant(does), files, late: fc.nat({ max: 60 }) },
    dies: fc.oneof(
      { weight: 7, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.record({ at: fc.nat({ max: 25 }), after: fc.boolean() }) },
    ),
  });
const backups = fc.array(actorWho('backup'), { minLength: 1, maxLength: 2 });
const prunes = fc.array(actorWho('prune'), { minLength: 1, maxLength: 2 });
const episode: fc.Arbitrary<Episode> = fc.record({
  nights: files,
  pause: fc.constantFrom(MINUTE, 13 * HOUR, 30 * HOUR),
  clash: fc.tuple(backups, prunes).map((both) => both.flat()),
});
const episodes = fc.array(episode, { minLength: 2, maxLength: 6, size: 'max' });
export const alone = (does: Actor['does'], of: number[]): Actor => ({ does, files: of, late: 0, dies: null });

export interface BlobFigures extends Record<string, number> {
  histories: number;
  calls: number;
  backups: number;
  /** Attachments and lists that went. */
  gone: number;
  /** Backups that were refused because what they needed was going. */
  refused: number;
  /** Prunes that left attachments alone because of what had begun or ended meanwhile. */
  spared: number;
}
export const newBlobFigures = (): BlobFigures => ({
  ...{ histories: 0, calls: 0, backups: 0, gone: 0, refused: 0, spared: 0 },
});

/** Throws what is broken. */
export const blobPromises = (figures: BlobFigures) =>
  fc.asyncProperty(episodes, fc.scheduler(), async (history, scheduler) => {
    const place = new Model(figures, () => scheduler.schedule(Promise.resolve()));
    const quiet = async (one: Actor, since: number): Promise<void> => {
      place.now += since;
      await scheduler.waitFor(act(place, one));
    };
    figures.histories += 1;
    for (const { nights, pause, clash } of history) {
      for (let n = 0; n < 3; n += 1) await quiet(alone('backup', nights), 30 * HOUR);
      place.forget();
      place.now += pause;
      await scheduler.waitFor(Promise.all(clash.map((one) => act(place, one))));
    }
    // Left alone, what nobody names goes, and nothing else.
    for (let n = 0; n < 3; n += 1) await quiet(alone('backup', [0]), 30 * HOUR);
    await quiet(alone('prune', []), HOUR);
    place.assertTidy();
    if (place.broken.size > 0) throw new Error([...place.broken].join('; '));
  });

/** A destination in memory, whose clock goes on with each call. */
export class Model {
  /** Is called before a call has its effect. */
  before: (method: string, key: string) => Promise<void> = async () => undefined;
  now = BEGIN;
  sequence = 0;
  readonly objects = new Map<string, { body: Buffer; at: number }>();
  readonly broken = new Set<string>();

  readonly figures: BlobFigures;
  readonly turn: () => Promise<void>;

  constructor(figures: BlobFigures, turn: () => Promise<void>) {
    this.figures = figures;
    this.turn = turn;
  }

  /** As one process sees it. */
  seenBy({ dies }: Actor): Destination {
    let calls = 0;
    const call = async <T>([method, key]: [string, string], work: () => T, turns = 1): Promise<T> => {
      calls += 1;
      const dead = (): boolean => dies !== null && calls > dies.at;
      for (let n = 0; n < turns; n += 1) await this.turn();
      if (dead() && !(dies?.after === true && calls === dies.at + 1)) throw new Error('killed');
      await this.before(method, key);
      this.now += CALL_MS;
      this.figures.calls += 1;
      const answer = work();
      this.look();
      await this.turn();
      if (dead()) throw new Error('killed');
      return answer;
    };
    return {
      url: 'memory:',
      put: (key, content) =>
        call(['put', key], () => {
          if (this.objects.has(key)) throw told('destination-object-exists', key);
          if (!('data' in content)) throw new Error('only bytes are sent here');
          this.objects.set(key, { body: content.data, at: this.now });
        }),
      get: (key) =>
        call(
          ['get', key],
          () => {
            const found = this.objects.get(key);
            if (found === undefined) throw told('destination-object-missing', key);
            return Readable.from([found.body]);
          },
          isClaim(key) ? SLOW : 1,
        ),
      list: (prefix) => call(['list', prefix], () => this.listed(prefix)),
      delete: (key) => call(['delete', key], () => void this.objects.delete(key), isShared(key) ? SLOW : 1),
    };
  }

  listed(prefix: string): Stored[] {
    return [...this.objects]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, { body, at }]) => ({ key, bytes: body.length, storedAt: new Date(at).toISOString() }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  manifests(): Manifest[] {
    return [...this.objects]
      .filter(([key]) => key.endsWith('.manifest.json'))
      .map(([, { body }]) => JSON.parse(body.toString()) as Manifest);
  }

  /** All but the last three backups go, as a prune would take them that was cut off before the attachments. */
  forget(): void {
    const old = this.manifests()
      .sort((a, b) => a.sequence - b.sequence)
      .slice(0, -3);
    for (const { backupId } of old)
      for (const key of [...this.objects.keys()])
        if (key.startsWith(`${backupId}.`)) this.objects.delete(key);
  }

  /** What is listed has all that it names. */
  look(): void {
    for (const manifest of this.manifests())
      for (const key of named(manifest, this.objects))
        if (!this.objects.has(key)) this.broken.add(`${manifest.backupId} is listed and lacks ${key}`);
  }

  assertTidy(): void {
    const needed = new Set(this.manifests().flatMap((manifest) => named(manifest, this.objects)));
    for (const [key, { at }] of this.objects)
      if (key.startsWith('blobs/') && !needed.has(key) && this.now - at > 2 * DAY)
        this.broken.add(`${key} stays for ever`);
  }
}

const told = (code: string, target: string): FactoryError =>
  new FactoryError({ code, op: 'model', target, message: `${target}: ${code}`, hint: '' });

function named({ blobs, objects }: Partial<Manifest>, there: Model['objects']): string[] {
  if (objects === undefined) return [];
  const own = [objects.data.key, objects.key.key];
  if (blobs === undefined || Array.isArray(blobs)) return own;
  const list = there.get(blobs.list.key)?.body.toString() ?? '';
  const digests = [...list.matchAll(/^\w+ (\w{64}) /gm)].map(([, digest = '']) => digest);
  return [...own, blobs.list.key, ...digests.map((digest) => blobKey(NAME, digest))];
}

async function act(place: Model, one: Actor): Promise<void> {
  for (let n = 0; n < one.late; n += 1) await place.turn();
  await (one.does === 'backup' ? backUp(place, one) : prune(place, one)).catch((error: unknown) => {
    if ((error as Error).message !== 'killed') throw error;
  });
}

/** Null: it was made; else why not. */
export async function backUp(place: Model, one: Actor): Promise<FactoryError | null> {
  const destination = place.seenBy(one);
  const { latest } = await listBackups(destination, NAME, { signal });
  const { stem, parcels } = parcelsOf(one.files, (place.sequence += 1), place.now);
  const ahead = { has: async () => false };
  const job = { name: NAME, signal, progress: () => undefined, ahead };
  const { status, error } = await send({ destination, error: null, latest }, parcels, stem, job);
  if (status === 'ok') place.figures.backups += 1;
  if (error?.code === 'attachments-going') place.figures.refused += 1;
  return error ?? null;
}

/** What a host sends, with the key that its manifests are signed with. */
function parcelsOf(
  files: readonly number[],
  sequence: number,
  now: number,
): { stem: string; parcels: Parcel[] } {
  const at = new Date(now).toISOString();
  const stem = stemOf('full', NAME, at, sequence);
  const held = FILES.filter((_, n) => files.includes(n)).map(({ name, bytes }) => ({
    ...{ name, bytes },
    file: { sha256: sha256(bytes), bytes: bytes.length },
  }));
  const list = Buffer.from(blobListText(held));
  const listKey = blobListKey(NAME, sha256(list));
  const data = Buffer.from(`data ${sequence}`);
  const object = (end: string) => ({ key: stem + end, bytes: data.length, sha256: sha256(data) });
  const objects = { data: object('.sqlite.zst.age'), pages: null, key: object('.key.age') };
  const manifest = signManifest(
    {
      ...{ format: FORMAT_WITH_BLOBS, backupId: stem, name: NAME, kind: 'full', sequence },
      ...{ startedAt: at, finishedAt: at, release: null, epoch: 0, base: null, objects, recipients: [] },
      source: {
        ...{ engine: 'sqlite', bytes: 1, sha256: sha256(data), schemaSha256: sha256(data), rows: {} },
        ...{ auditCheckpoint: null, pageSize: 512, pages: 1, applicationId: 0, userVersion: 0 },
      },
      blobs: {
        list: { key: listKey, bytes: list.length, sha256: sha256(list) },
        count: held.length,
        bytes: 0,
      },
    },
    privateKey,
  );
  const parcels: Parcel[] = [
    { key: objects.data.key, content: { data } },
    { key: objects.key.key, content: { data } },
    ...held.map(({ bytes, file }): Parcel => {
      return { key: blobKey(NAME, file.sha256), content: { data: bytes }, shared: 'blob' };
    }),
    { key: listKey, content: { data: list }, shared: 'list' },
    { key: `${stem}.manifest.json`, content: { data: Buffer.from(manifestText(manifest)) } },
  ];
  return { stem, parcels };
}

/** As `factory backups prune` plans and applies; every backup counts as verified. */
export async function prune(place: Model, one: Actor) {
  const destination = place.seenBy(one);
  const catalog = await readCatalog(destination, NAME, { signal });
  const candidates = catalog.entries.map(({ manifest: { backupId, kind, sequence }, storedAt }) => ({
    ...{ backupId, kind, sequence, storedAt: Date.parse(storedAt), base: null, verified: true, own: true },
  }));
  const rules = { now: place.now, retentionDays: RETENTION_DAYS, intervalMs: DAY };
  const leftovers = catalog.leftovers.map(({ key, storedAt }) => ({ key, storedAt: Date.parse(storedAt) }));
  const plan = planPrune(candidates, rules, leftovers);
  const { plan: attachments, claims } = await planBlobs(destination, {
    ...{ catalog, gone: plan.delete, untimely: untimely(candidates, rules), signal },
    ...{ now: agesFrom(candidates, rules), retentionMs: RETENTION_DAYS * DAY },
  });
  const progress = (): undefined => undefined;
  const planned = { ...plan, leftovers: [...plan.leftovers, ...claims] };
  await removePlanned(destination, catalog.entries, planned, { signal, progress });
  const { gone, kept } = await removeBlobs(destination, attachments, { catalog, signal, progress });
  place.figures.gone += gone.length;
  if (kept !== null) place.figures.spared += 1;
  return { attachments, gone: gone.map(({ key }) => key), kept };
}

/** `count` histories; a prune that never took anything would keep every promise. */
export async function blobHistories({ seed, count, say }: Run): Promise<Outcome> {
  const figures = newBlobFigures();
  const found = await fc.check(blobPromises(figures), { seed, numRuns: count });
  say(`${figures.gone} objects gone in ${figures.histories} histories of ${figures.calls} calls`);
  const failures = found.failed ? [fc.defaultReportMessage(found) ?? 'a promise is broken'] : [];
  if (figures.gone < figures.histories) failures.push(`only ${figures.gone} objects went`);
  return { failures, figures };
}
