import { isOverdue, verifiedAge } from './ages.ts';
import type { BackupStatus, DestinationStatus, DrillStatus } from './types.ts';

/** What anybody may know of backups and drills: no addresses, paths or texts of errors. */

export type DestinationState = 'ok' | 'late' | 'failing' | 'never';

export interface PublicBackups {
  status: BackupStatus['status'];
  detail: string;
  budgetSeconds: number;
  ageSeconds: number | null;
  destinations: {
    /** In the order of the configuration, from 1. */
    number: number;
    kind: string;
    state: DestinationState;
    /** Of the newest verified backup. */
    ageSeconds: number | null;
    verifiedHow: 'ciphertext' | 'restored' | null;
    /** It does not survive what the database does not survive. */
    sameDisk: boolean;
    error: string | null;
  }[];
}

export interface PublicDrills {
  status: DrillStatus['status'];
  detail: string;
  budgetSeconds: number;
  ageSeconds: number | null;
  last: { outcome: string; at: string } | null;
  lastPass: {
    at: string;
    rpoSeconds: number | null;
    rtoSeconds: number | null;
    restoreSeconds: number | null;
    bootSeconds: number | null;
  } | null;
}

export function publicBackups(status: BackupStatus, now: number): PublicBackups {
  return {
    status: status.status,
    detail: status.detail,
    budgetSeconds: status.budgetSeconds,
    ageSeconds: status.ageSeconds,
    destinations: status.destinations.map((destination, index) => ({
      number: index + 1,
      kind: destinationKind(destination.url),
      state: destinationState(destination, status.budgetSeconds, now),
      ageSeconds: verifiedAge(destination, now),
      verifiedHow: destination.verified?.how ?? null,
      sameDisk: destination.sameDisk,
      error: destination.error?.code ?? null,
    })),
  };
}

export function publicDrills({
  status,
  detail,
  budgetSeconds,
  ageSeconds,
  last,
  lastPass,
}: DrillStatus): PublicDrills {
  return {
    ...{ status, detail, budgetSeconds, ageSeconds },
    last: last && { outcome: last.outcome, at: last.at },
    lastPass: lastPass && {
      at: lastPass.at,
      rpoSeconds: lastPass.rpoSeconds,
      rtoSeconds: lastPass.rtoSeconds,
      restoreSeconds: lastPass.restoreSeconds,
      bootSeconds: lastPass.bootSeconds,
    },
  };
}

export function destinationKind(url: string): 'folder' | 's3' {
  return url.startsWith('s3:') ? 's3' : 'folder';
}

/** An error counts before age: it says that the age will grow. */
export function destinationState(
  destination: DestinationStatus,
  budgetSeconds: number,
  now: number,
): DestinationState {
  if (destination.error !== null) return 'failing';
  const age = verifiedAge(destination, now);
  if (age === null) return 'never';
  return age > budgetSeconds ? 'late' : 'ok';
}

export interface BadgeText {
  tone: 'ok' | 'warn' | 'bad' | 'plain';
  text: string;
}

/** `restored 3 h ago, booted in 41 s`; what failed or never was is said first. */
export function restoreBadge(status: DrillStatus, now: number): BadgeText {
  const { last, lastPass } = status;
  if (last === null) return { tone: 'plain', text: 'never restored' };
  const ago = (iso: string) => `${span((now - Date.parse(iso)) / 1000)} ago`;
  if (last.outcome === 'fail') return { tone: 'bad', text: `restore failed ${ago(last.at)}` };
  if (lastPass === null) return { tone: 'warn', text: `restore inconclusive ${ago(last.at)}` };
  const boot = lastPass.bootSeconds;
  const booted = boot === null ? '' : `, booted in ${boot < 10 ? boot.toFixed(1) : Math.round(boot)} s`;
  return { tone: isOverdue(status) ? 'warn' : 'ok', text: `restored ${ago(lastPass.at)}${booted}` };
}

function span(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
