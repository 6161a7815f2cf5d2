import { hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { asFactoryError } from '../../../service/errors.ts';
import { RECIPIENTS_FILE, recipientsDigest } from '../../../service/jobs/recovery-key.ts';
import { lastSequence } from '../../../service/plausible.ts';
import { sentTo } from '../backup/send.ts';
import type { Sent } from '../backup/send.ts';
import { replaceFile } from '../backup/state.ts';
import type { Destination, Stored } from '../destinations/destination.ts';
import {
  filesDigest,
  keyFiles,
  oldReplicas,
  REPLICA_WINDOW_MS,
  replicaKey,
  replicaNumber,
  replicaPrefix,
  sealReplica,
} from './replica.ts';
import type { KeyFile } from './replica.ts';

/** Sending a copy of the keyring where one is due. */

/** Old copies go after a week, so a new one comes each day. */
const EVERY_MS = 24 * 60 * 60_000;

/** What was sent is remembered for longer than any copy outlives its successor by. */
const REMEMBERED_MS = REPLICA_WINDOW_MS + 2 * 60 * 60_000;

const sentSchema = z.strictObject({
  key: z.string(),
  /** Of the sealed bytes. */
  sha256: z.string(),
  /** None: an older release sent it. */
  bytes: z.int().optional(),
  madeAt: z.string(),
});
export type SentReplica = z.output<typeof sentSchema>;

const stateSchema = z.strictObject({
  sequence: z.int().nonnegative(),
  files: z.string(),
  recipients: z.string(),
  madeAt: z.string(),
  urls: z.array(z.string()),
  /** The last copies, oldest first; none: an older release sent them. */
  copies: z.array(sentSchema).default([]),
  /** The last copy is not there any more, or not as it was sent: a new one is due. */
  again: z.boolean().default(false),
});
type State = z.output<typeof stateSchema>;

export interface ReplicaJob {
  name: string;
  keyringDir: string;
  /** Where it is remembered what was sent. */
  folder: string;
  destinations: readonly Destination[];
  recipients: readonly string[];
  signing: KeyObject;
  signal: AbortSignal;
  now: number;
  /** Destinations that have none, whatever was sent there; absent: none. */
  emptied?: ReadonlySet<string> | undefined;
  /** Whether a destination is on this machine's own disk: what an older copy holds then goes with the new one. */
  isHere?: (url: string) => boolean;
}

/** To each destination; null: each of them has one that is of today and like the keyring. */
export async function sendReplica(job: ReplicaJob): Promise<{ sequence: number; sent: Sent[] } | null> {
  const files = withRecipients(keyFiles(job.keyringDir), job.recipients);
  const state = readState(job.folder);
  const wanted = { files: filesDigest(files), recipients: recipientsDigest(job.recipients) };
  if (state !== null && isCurrent(state, wanted, job) && !(await isMissing(state, job))) return null;
  const sequence = (await newestNumber(job, state?.sequence ?? 0)) + 1;
  const madeAt = new Date(job.now).toISOString();
  const sealed = await sealReplica({ name: job.name, sequence, madeAt, files }, job.recipients, job.signing);
  const key = replicaKey(job.name, madeAt, sequence);
  const sent = await Promise.all(
    job.destinations.map(async (destination) => {
      try {
        await destination.put(key, { data: sealed }, { signal: job.signal });
        if (job.isHere?.(destination.url)) await removeOlder(destination, key, job);
        return sentTo(destination, null);
      } catch (error) {
        return sentTo(destination, asFactoryError(error, 'send copy of the keyring'));
      }
    }),
  );
  const urls = sent.filter(({ status }) => status === 'ok').map(({ url }) => url);
  const copies = [
    ...remembered(state?.copies ?? [], job.now),
    { key, sha256: hash('sha256', sealed), bytes: sealed.length, madeAt },
  ];
  const next: State = { sequence, madeAt, urls, ...wanted, copies, again: false };
  replaceFile(statePath(job.folder), JSON.stringify(next));
  return { sequence, sent };
}

/** What this machine sent of late: only its own word, or a private key, tells a whole copy from a bad one. */
export const sentReplicas = (folder: string): readonly SentReplica[] => readState(folder)?.copies ?? [];

/** The last one, where this destination took it. */
export function lastSentTo(folder: string, url: string): SentReplica | null {
  const state = readState(folder);
  return state?.urls.includes(url) ? (state.copies.at(-1) ?? null) : null;
}

/** Those of the window, and the newest of those before it: it is the one that older copies go for. */
function remembered(copies: readonly SentReplica[], now: number): SentReplica[] {
  const settled = copies.findLastIndex(({ madeAt }) => now - Date.parse(madeAt) > REMEMBERED_MS);
  return copies.slice(Math.max(0, settled));
}

/**
 * Who reads the backups, also where the configuration says so and no file does: the next host goes on for the same keys, and
 * makes none of its own because a variable was forgotten.
 */
function withRecipients(files: KeyFile[], recipients: readonly string[]): KeyFile[] {
  const base64 = Buffer.from(`${recipients.join('\n')}\n`).toString('base64');
  const others = files.filter(({ name }) => name !== RECIPIENTS_FILE);
  return [...others, { name: RECIPIENTS_FILE, mode: 0o644, base64 }].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

async function removeOlder(
  destination: Destination,
  sent: string,
  { name, now, signal }: ReplicaJob,
): Promise<void> {
  const listed = await destination.list(replicaPrefix(name), { signal });
  const copies = listed.map(({ key, storedAt }) => {
    return { key, storedAt: Date.parse(storedAt), whole: key === sent };
  });
  // A clock that ran ahead must not keep the new copy from counting as there.
  const latest = Math.max(now, ...copies.map(({ storedAt }) => storedAt));
  for (const key of oldReplicas(copies, latest, 0)) await destination.delete(key, { signal });
}

function isCurrent(
  state: State,
  wanted: Pick<State, 'files' | 'recipients'>,
  { now, destinations, emptied }: ReplicaJob,
): boolean {
  const age = now - Date.parse(state.madeAt);
  const same = state.files === wanted.files && state.recipients === wanted.recipients;
  return (
    !state.again &&
    same &&
    age >= 0 &&
    age < EVERY_MS &&
    destinations.every(({ url }) => state.urls.includes(url) && !emptied?.has(url))
  );
}

/** Whether a destination lost the last copy, or has something else in its place. One that does not answer tells nothing. */
async function isMissing({ copies }: State, { name, destinations, signal }: ReplicaJob): Promise<boolean> {
  const last = copies.at(-1);
  if (last === undefined) return false;
  const missing = await Promise.all(
    destinations.map(async (one) => {
      const listed = await one.list(replicaPrefix(name), { signal }).catch(() => null);
      return listed !== null && !listed.some((stored) => isAsSent(stored, last));
    }),
  );
  return missing.includes(true);
}

/** As far as a listing tells. */
export const isAsSent = ({ key, bytes }: Stored, sent: SentReplica): boolean =>
  key === sent.key && (sent.bytes === undefined || sent.bytes === bytes);

/** A new copy goes to all destinations with the next backup. */
export function sendAgain(folder: string): void {
  const state = readState(folder);
  if (state !== null) replaceFile(statePath(folder), JSON.stringify({ ...state, again: true }));
}

/** Names are nobody's word: one that no host comes to would leave no number above it. */
async function newestNumber({ destinations, name, signal }: ReplicaJob, known: number): Promise<number> {
  const listed = await Promise.all(
    destinations.map((one) => one.list(replicaPrefix(name), { signal }).catch(() => [])),
  );
  const numbers = listed.flat().map(({ key }) => replicaNumber(key) ?? 0);
  return lastSequence([known, ...numbers].filter((number) => number > 0));
}

const statePath = (folder: string): string => join(folder, 'keyring.json');

function readState(folder: string): State | null {
  try {
    return stateSchema.parse(JSON.parse(readFileSync(statePath(folder), 'utf8')));
  } catch {
    return null;
  }
}
