import { fields, table } from './layout.ts';
import { plural } from './size.ts';

/** Holds, erasures, plans and grants as text. */

export interface Hold {
  id: string;
  reason: string;
  subjectId: string | null;
  subject: string | null;
  sessionId: string | null;
  class: string | null;
  from: string | null;
  to: string | null;
  placedAt: string;
  releasedAt: string | null;
}

export interface PlacedHold extends Hold {
  covers: { sessions: number; messages: number };
}

export interface Erasure {
  id: string;
  status: string;
  subject: string;
  reason: string;
  requestedAt: string;
  certificate: {
    erased: { total: Record<string, number> };
    kept: { what: string; count?: number; why: string }[];
    backups: { unreadableFrom: string | null; why: string };
  } | null;
}

export interface ErasurePlan {
  subject: string;
  erasure: string | null;
  lostSubjects: number;
  erased: { total: Counts; byClass: Record<string, Counts> };
  held: Counts & { holds: string[] };
  staying: number;
  sample: {
    id: string;
    class: string;
    goes: boolean;
    messages: number;
    attachments: number;
    held: number;
  }[];
}

export type Counts = Record<string, number>;

export interface Grant {
  id: string;
  kind: string;
  sessionId: string | null;
  grantee: string;
  state: string;
  startsAt: string;
  expiresAt: string;
  reason: string;
}

export interface PolicyVersion {
  version: number;
  at: string;
  by: string;
  changes: { path: string; before?: unknown; after?: unknown }[];
}

export function policyHistoryText(versions: readonly PolicyVersion[]): string {
  if (versions.length === 0) return 'The policies are as installed: nobody changed them.';
  const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));
  const blocks = versions.map(({ version, at, by, changes }) => [
    `version ${version}, ${at}, by ${by}`,
    ...(changes.length === 0 ? ['  nothing was different'] : []),
    ...changes.map(({ path, before, after }) => `  ${path.slice(1)}: ${shown(before)} -> ${shown(after)}`),
  ]);
  return blocks.map((lines) => lines.join('\n')).join('\n');
}

export interface Rotation {
  id: string;
  state: string;
  startedAt: string;
  finishedAt: string | null;
  sealed: number;
  unreadable: number;
}

export function rotationText(rotation: Rotation | null): string {
  if (rotation === null)
    return 'The keys of conversations were never rotated: `npx factory governance keys --rotate`.';
  const { id, state, startedAt, finishedAt, sealed, unreadable } = rotation;
  const lines: [label: string, value: string][] = [
    ['Rotation', id],
    ['State', state === 'done' ? `done at ${finishedAt}` : 'running'],
    ['Begun', startedAt],
    ['Sealed anew', String(sealed)],
  ];
  if (unreadable > 0) lines.push(['Unreadable', `${unreadable} rows keep their old keys, see the log`]);
  return fields(lines);
}

export interface Quarantined {
  id: string;
  kind: string;
  sessionId: string;
  messageId: string | null;
  class: string;
  author: { id: string };
  createdAt: string;
  findings: { rule: string; action: string; part: number; start: number; end: number }[];
  state: string;
  approvedBy: string | null;
  reason: string | null;
  releasableFrom: string | null;
}

export function coveredText({ id, covers, subjectId, subject }: PlacedHold): string {
  if (covers.messages > 0)
    return `It covers ${countsText({ messages: covers.messages })} of ${countsText({ sessions: covers.sessions })} that are here now.`;
  const question = subjectId === null && subject === null ? '' : ' Is the name right?';
  return `Nothing that is here now is covered.${question} What is written later and fits will be; to take it back: \`npx factory governance holds --release ${id}\``;
}

export function holdsText(holds: readonly Hold[], room: number | null): string {
  if (holds.length === 0) return 'No holds.';
  const rows = holds.map((hold) => [
    hold.id,
    hold.releasedAt ? 'released' : 'in force',
    holdWhat(hold),
    hold.reason,
  ]);
  return table(['ID', 'STATE', 'ON', 'REASON'], rows, room);
}

function holdWhat({ subjectId, subject, sessionId, class: kind, from, to }: Hold): string {
  const about = subjectId ?? subject;
  const parts = [
    about === null ? '' : `subject ${about}`,
    sessionId === null ? '' : `session ${sessionId}`,
    kind === null ? '' : `class ${kind}`,
    from === null ? '' : `from ${from}`,
    to === null ? '' : `to ${to}`,
  ];
  return parts.filter((part) => part !== '').join(', ') || 'everything';
}

export function erasuresText(erasures: readonly Erasure[], room: number | null): string {
  if (erasures.length === 0) return 'No erasures.';
  const rows = erasures.map(({ id, status, requestedAt, subject, reason }) => [
    id,
    status,
    requestedAt,
    subject,
    reason,
  ]);
  return table(['ID', 'STATUS', 'REQUESTED', 'SUBJECT', 'REASON'], rows, room);
}

export function erasureText({ id, status, subject, reason, certificate }: Erasure): string {
  const rows: [string, string | null][] = [
    ['erasure', id],
    ['status', status],
    ['subject', subject],
    ['reason', reason],
  ];
  if (certificate) {
    const { erased, kept, backups } = certificate;
    rows.push(['erased', countsText(erased.total)]);
    for (const { what, count, why } of kept)
      rows.push(['kept', `${count === undefined ? what : counted(what, count)}: ${why}`]);
    rows.push([
      'old backups',
      backups.unreadableFrom ? `unreadable from ${backups.unreadableFrom} on` : backups.why,
    ]);
  }
  return fields(rows, '');
}

export function erasurePlanText(plan: ErasurePlan, room: number | null): string {
  const { subject, erasure, lostSubjects, erased, held, staying, sample } = plan;
  const { holds, ...kept } = held;
  const rows: [string, string][] = [
    ['subject', subject],
    ['goes', countsText(erased.total)],
    ...Object.entries(erased.byClass).map(([of, counts]): [string, string] => [
      `of class ${of}`,
      countsText(counts),
    ]),
    ['held', countsText(kept)],
    ...holds.map((id): [string, string] => ['by hold', id]),
    ['sessions that stay', String(staying)],
  ];
  if (lostSubjects > 0)
    rows.push([
      'not known',
      `the keys of ${lostSubjects === 1 ? '1 subject are' : `${lostSubjects} subjects are`} lost, and their names: older content may be about this one; nobody can read it`,
    ]);
  if (erasure !== null) rows.push(['asked for already', `npx factory governance erasures ${erasure}`]);
  if (sample.length === 0) return fields(rows, '');
  const lines = sample.map((one) => [
    ...[one.id, one.class, one.goes ? 'goes' : 'stays'],
    ...[one.messages, one.attachments, one.held].map(String),
  ]);
  const sessions = table(['SESSION', 'CLASS', 'ITSELF', 'MESSAGES', 'FILES', 'HELD'], lines, room);
  return `${fields(rows, '')}\n${sessions}`;
}

export function grantsText(grants: readonly Grant[], room: number | null): string {
  if (grants.length === 0) return 'No grants.';
  const rows = grants.map(({ id, kind, state, sessionId, grantee, startsAt, expiresAt, reason }) => [
    ...[id, kind, state, sessionId ?? 'every session', grantee, startsAt, expiresAt, reason],
  ]);
  return table(['ID', 'KIND', 'STATE', 'SESSION', 'TO', 'FROM', 'UNTIL', 'REASON'], rows, room);
}

const rulesOf = ({ findings }: Quarantined): string =>
  [...new Set(findings.filter(({ action }) => action === 'quarantine').map(({ rule }) => rule))].join(', ');

function standsFor({ kind, messageId, sessionId }: Quarantined): string {
  if (kind === 'file') return messageId === null ? `file of ${sessionId}` : `file of ${messageId}`;
  return messageId ?? `title of ${sessionId}`;
}

export function quarantineText(all: readonly Quarantined[], room: number | null): string {
  if (all.length === 0) return 'Nothing waits in quarantine.';
  const rows = all.map((one) => [...[one.id, one.state, one.createdAt, standsFor(one), rulesOf(one)]]);
  return table(['ID', 'STATE', 'WRITTEN', 'STANDS FOR IT', 'RULES'], rows, room);
}

export function quarantinedText(one: Quarantined): string {
  const rows: [string, string | null][] = [
    ...([
      ['id', one.id],
      ['state', one.state === 'approved' ? 'approved by one, waits for a second' : one.state],
      ['stands for it', standsFor(one)],
      ['class', one.class],
      ['author', one.author.id],
      ['written', one.createdAt],
      ['approved by', one.approvedBy],
      ['reason', one.reason],
      ['alone from', one.releasableFrom],
    ] satisfies [string, string | null][]),
    ...one.findings.map(({ rule, action, part, start, end }): [string, string] => [
      'found',
      `${rule} in part ${part}, ${start} to ${end} (${action})`,
    ]),
  ];
  return fields(
    rows.filter(([, value]) => value !== null),
    '',
  );
}

export function countsText(counts: Counts): string {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.map(([what, count]) => counted(what, count)).join(', ') || 'nothing';
}

const counted = (many: string, count: number): string => plural(count, many.replace(/s$/, ''), many);
