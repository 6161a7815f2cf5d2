/**
 * What an erasure counts and certifies. A certificate is canonical JSON (RFC 8785), signed with the key of the audit log;
 * scripts/verify-certificate.mjs checks it without anything else of this project.
 */

export const CERTIFICATE = 'build-factory/erasure-certificate/1';

/** What went, of one class of sessions. */
export interface Counts {
  sessions: number;
  messages: number;
  attachments: number;
  quarantined: number;
  titles: number;
  bytes: number;
}

export const NOTHING: Counts = {
  ...{ sessions: 0, messages: 0, attachments: 0, quarantined: 0, titles: 0, bytes: 0 },
};

export type ByClass = Record<string, Counts>;

/** What is kept in `chat_erasures.document`. */
export interface Progress {
  erased: ByClass;
  /** The audit entry that says how it ended; null while it runs. */
  entry: number | null;
  /** What holds keep, when it last ended. */
  held: Held;
}

export interface Held {
  messages: number;
  attachments: number;
  quarantined: number;
  /** Sessions that stay, because they or their titles are held. */
  sessions: number;
  /** Ids of the holds. */
  holds: string[];
}

export const NOT_HELD: Held = { messages: 0, attachments: 0, quarantined: 0, sessions: 0, holds: [] };
export const NO_PROGRESS: Progress = { erased: {}, entry: null, held: NOT_HELD };

export function plus(progress: Progress, kind: string, more: Partial<Counts>): Progress {
  const before = progress.erased[kind] ?? NOTHING;
  const sum = Object.fromEntries(
    Object.entries(before).map(([name, count]) => [name, count + (more[name as keyof Counts] ?? 0)]),
  ) as unknown as Counts;
  return { ...progress, erased: { ...progress.erased, [kind]: sum } };
}

export function totalOf(byClass: ByClass): Counts {
  return Object.values(byClass).reduce<Counts>(
    (sum, counts) => plus({ ...NO_PROGRESS, erased: { all: sum } }, 'all', counts).erased['all']!,
    NOTHING,
  );
}

export function isHeldBack({ messages, attachments, quarantined, sessions }: Held): boolean {
  return messages + attachments + quarantined + sessions > 0;
}

/** Hours for which the newest copy of the keyring outside of this machine may still hold a key that is gone here. */
export const KEY_COPY_HOURS = 24;

export interface Kept {
  what: string;
  count?: number;
  why: string;
  holds?: string[];
}

/** What stays, and why. */
export function keptOf(held: Held): Kept[] {
  const of = (what: string, count: number): Kept[] =>
    count === 0 ? [] : [{ what, count, why: 'held', holds: held.holds }];
  return [
    ...of('messages', held.messages),
    ...of('attachments', held.attachments),
    ...of('quarantined', held.quarantined),
    ...of('sessions', held.sessions),
    {
      what: 'audit entries',
      why: 'They name ids and keyed digests, no content and no name, and never expire.',
    },
    {
      what: 'places of messages in sessions that others share, ids, keyed digest of the name',
      why: 'With them, late writes and restored backups are refused; without the erased key they tell nothing.',
    },
  ];
}

export interface Proof {
  seq: number;
  index: number;
  leaf: string;
  size: number;
  root: string;
  hashes: string[];
  checkpoint: string;
}

export interface Certificate {
  format: typeof CERTIFICATE;
  /** Of the erasure. */
  id: string;
  status: 'done' | 'partial-held';
  /** Id of the subject; its name is gone. */
  subject: string;
  reason: string;
  requestedBy: string;
  requestedAt: string;
  erasedAt: string;
  erased: { total: Counts; byClass: ByClass };
  kept: Kept[];
  /** From then on no copy of the keyring holds the key, so that content in older backups cannot be read. */
  backups: { unreadableFrom: string | null; windowHours: number; why: string };
  /** The entry of the audit log that records it, and that it is in the log. */
  proof: Proof;
  /** Public half of the key that signed; compare it with the one that you were given. */
  key: string;
  signature: string;
}

export interface CertificateFacts {
  erasure: {
    id: string;
    reason: string;
    requested_by: string;
    requested_at: string;
    finished_at: string;
  };
  subject: string;
  progress: Progress;
  copies: 'elsewhere' | 'none';
  proof: Proof;
  key: string;
}

export function certificateOf(facts: CertificateFacts): Omit<Certificate, 'signature'> {
  const { erasure, subject, progress, copies, proof, key } = facts;
  const held = isHeldBack(progress.held);
  return {
    ...{ format: CERTIFICATE, id: erasure.id, status: held ? 'partial-held' : 'done', subject },
    ...{ reason: erasure.reason, requestedBy: erasure.requested_by, requestedAt: erasure.requested_at },
    ...{
      erasedAt: erasure.finished_at,
      erased: { total: totalOf(progress.erased), byClass: progress.erased },
    },
    ...{ kept: keptOf(progress.held), backups: windowOf(held, copies, erasure.finished_at), proof, key },
  };
}

function windowOf(
  held: boolean,
  copies: CertificateFacts['copies'],
  erasedAt: string,
): Certificate['backups'] {
  if (held) {
    const why = 'What is held keeps its keys until its holds are released; then another certificate is made.';
    return { unreadableFrom: null, windowHours: 0, why };
  }
  if (copies === 'none') {
    const why = 'The keys lay on this machine alone, and are gone from it.';
    return { unreadableFrom: erasedAt, windowHours: 0, why };
  }
  return {
    unreadableFrom: new Date(Date.parse(erasedAt) + KEY_COPY_HOURS * 3_600_000).toISOString(),
    windowHours: KEY_COPY_HOURS,
    why: 'A copy of the keyring in a destination of backups can hold the key: one without it comes with the next backup, and the one before that is pruned when it has been there so long.',
  };
}
