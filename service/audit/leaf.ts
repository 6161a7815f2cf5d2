/**
 * What stands in the audit log. A leaf carries ids, enums, digests and keyed commitments, never titles or content:
 * the log is kept for ever and read by people who may not see the content.
 */
import { createHmac, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { FactoryError } from '../errors.ts';
import type { Tables } from '../storage/tables.ts';

export const LEAF_VERSION = 1;
export const LEAF_TYPE = 'build-factory/audit-leaf';
const COMMITMENT_DOMAIN = 'build-factory/commitment/v1';

/** Longest text in a leaf, in UTF-16 units: ids and codes fit, content does not. */
const LONGEST_TEXT = 200;

/** Who or what, by kind and id. */
export interface Ref {
  kind: string;
  id: string;
}

export type LeafOutcome = 'applied' | 'refused';

/** What a writer states; the log adds version, type and time. */
export interface AuditEntry {
  actor: Ref;
  /** E.g. an action's identity, `token-created`, `login-refused`. */
  action: string;
  object: Ref | null;
  outcome: LeafOutcome;
  /** The reason of a refusal, e.g. `permission-missing`. */
  code?: string;
  event?: { seq: number; commitment: string };
  decision?: { id: string; commitment: string };
  /** Of a message: its place in the session that `object` names, and a commitment under a key of its subject. */
  message?: { seq: number; commitment: string };
  project: string;
  /** Of a database that was put back from a backup. */
  restored?: Restored;
}

/** A size of the log and its root, base64. */
export interface LogState {
  size: number;
  root: string;
}

/** What a restore did to the log; `signature` (Ed25519, base64) is by the log's key. */
export interface Restored {
  /** The number of the entry that holds this. */
  entry: number;
  /** Id and sequence of the backup, and when it was taken. */
  backup: string;
  sequence: number;
  takenAt: string;
  /** The newest checkpoint known here that the log still continues; null: none. */
  shared: LogState | null;
  /** Checkpoints known here that it does not continue, smallest first: the last one is the newest state that is given up. */
  givenUp: LogState[];
  epoch: number;
  /** Who, as the system names them. */
  by: string;
  why: 'restore' | 'undo';
  /** The key that the log was signed with until then is lost, and the one of its commitments. */
  newKey: boolean;
  signature: string;
}

/** A leaf of the log; its bytes are its canonical JSON (RFC 8785). */
export interface AuditLeaf extends AuditEntry {
  v: typeof LEAF_VERSION;
  type: typeof LEAF_TYPE;
  /** ISO-8601 UTC with milliseconds. */
  at: string;
}

/** A row of `events`; its commitment covers every column. */
export type EventRow = Tables['events'];

/** A row of `decisions`; its commitment covers every other column. */
export type DecisionRow = Omit<Tables['decisions'], 'commitment'>;

/**
 * The leaf as it is stored and hashed.
 * Throws `audit-leaf-malformed` where the entry is no leaf, so that nothing unverifiable gets into the log.
 */
export function encodeLeaf(entry: AuditEntry, at: string): string {
  const text = leafText({ ...entry, v: LEAF_VERSION, type: LEAF_TYPE, at });
  const problem = leafProblem(JSON.parse(text));
  if (problem !== null) throw malformed(problem);
  return text;
}

/** The leaf that `text` holds. Throws `audit-leaf-malformed` if it is none, or not in canonical form. */
export function decodeLeaf(text: string): AuditLeaf {
  const value = parseJson(text);
  const problem = leafProblem(value);
  if (problem !== null) throw malformed(problem);
  const leaf = value as AuditLeaf;
  if (leafText(leaf) !== text) throw malformed('it is not in canonical form (RFC 8785)');
  return leaf;
}

/**
 * The canonical JSON (RFC 8785) of a leaf: keys in the order of their UTF-16 units, no white space. Written out,
 * because a leaf has a fixed shape, and a general canonicalizer takes half of the time that verification has.
 */
function leafText({
  action,
  actor,
  at,
  code,
  decision,
  event,
  message,
  object,
  outcome,
  project,
  restored,
  type,
  v,
}: AuditLeaf): string {
  return JSON.stringify({
    action,
    actor: { id: actor.id, kind: actor.kind },
    at,
    code,
    decision: decision && { commitment: decision.commitment, id: decision.id },
    event: event && { commitment: event.commitment, seq: event.seq },
    message: message && { commitment: message.commitment, seq: message.seq },
    object: object && { id: object.id, kind: object.kind },
    outcome,
    project,
    restored: restored && sortedRestored(restored),
    type,
    v,
  });
}

function sortedRestored(restored: Restored): Restored {
  const { backup, by, entry, epoch, givenUp, newKey, sequence, shared, signature, takenAt, why } = restored;
  const state = ({ root, size }: LogState): LogState => ({ root, size });
  return {
    ...{ backup, by, entry, epoch, givenUp: givenUp.map(state), newKey, sequence },
    ...{ shared: shared && state(shared), signature, takenAt, why },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed('it is not JSON', error);
  }
}

/** The keyed commitment of a row of `events`: base64url, 43 characters. */
export function eventCommitment(key: Buffer, row: EventRow): string {
  const { actor, at, payload, project_id, seq, stream, stream_id, type, version } = row;
  return commitment(key, 'event', { actor, at, payload, project_id, seq, stream, stream_id, type, version });
}

/** The keyed commitment of a row of `decisions`, whatever its `commitment` column says: base64url, 43 characters. */
export function decisionCommitment(key: Buffer, row: DecisionRow): string {
  const { at, body, id, identity, item_id, item_seq, outcome, principal, project_id } = row;
  return commitment(key, 'decision', {
    at,
    body,
    id,
    identity,
    item_id,
    item_seq,
    outcome,
    principal,
    project_id,
  });
}

/**
 * HMAC-SHA256(key, domain || 0 || kind || 0 || canonical JSON of the row). The row is flat and its keys come sorted,
 * so that JSON.stringify gives the canonical form.
 */
function commitment(key: Buffer, kind: string, sortedRow: Record<string, string | number>): string {
  return createHmac('sha256', prepared(key))
    .update(`${COMMITMENT_DOMAIN}\0${kind}\0${JSON.stringify(sortedRow)}`)
    .digest('base64url');
}

const preparedKeys = new WeakMap<Buffer, KeyObject>();

/** Setting up an HMAC from bytes takes five times as long as computing it (10 of 12 µs). */
function prepared(key: Buffer): KeyObject {
  let object = preparedKeys.get(key);
  if (object === undefined) preparedKeys.set(key, (object = createSecretKey(key)));
  return object;
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) =>
  typeof value === 'string' && value !== '' && value.length <= LONGEST_TEXT && value.isWellFormed();
const isCommitment: Check = (value) => typeof value === 'string' && /^[\w-]{43}$/.test(value);
const isSeq: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 1;
const isTime: Check = (value) =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
const isRef = shape({ kind: isText, id: isText });

const isBase64 =
  (bytes: number): Check =>
  (value) =>
    typeof value === 'string' &&
    Buffer.from(value, 'base64').length === bytes &&
    Buffer.from(value, 'base64').toString('base64') === value;
const isState = shape({ size: (value) => value === 0 || isSeq(value), root: isBase64(32) });
const isRestored = shape({
  entry: isSeq,
  backup: isText,
  sequence: (value) => value === 0 || isSeq(value),
  takenAt: isTime,
  shared: (value) => value === null || isState(value),
  givenUp: (value) => Array.isArray(value) && value.every(isState),
  epoch: isSeq,
  by: isText,
  why: (value) => value === 'restore' || value === 'undo',
  newKey: (value) => typeof value === 'boolean',
  signature: isBase64(64),
});

const REQUIRED: Record<string, Check> = {
  v: (value) => value === LEAF_VERSION,
  type: (value) => value === LEAF_TYPE,
  at: isTime,
  actor: isRef,
  action: isText,
  object: (value) => value === null || isRef(value),
  outcome: (value) => value === 'applied' || value === 'refused',
  project: isText,
};
const OPTIONAL: Record<string, Check> = {
  code: isText,
  event: shape({ seq: isSeq, commitment: isCommitment }),
  decision: shape({ id: isText, commitment: isCommitment }),
  message: shape({ seq: isSeq, commitment: isCommitment }),
  restored: isRestored,
};
const leafProblem = shapeProblem(REQUIRED, OPTIONAL);

/** A check for an object with exactly these properties. */
function shape(fields: Record<string, Check>): Check {
  const problem = shapeProblem(fields);
  return (value) => problem(value) === null;
}

/** What keeps a value from being an object with exactly these properties, or null. */
function shapeProblem(required: Record<string, Check>, optional: Record<string, Check> = {}) {
  const checks = Object.entries({ ...required, ...optional });
  return (value: unknown): string | null => {
    if (!isObject(value)) return 'it is not an object';
    let known = 0;
    for (const [name, check] of checks) {
      if (!Object.hasOwn(value, name)) {
        if (name in required) return `"${name}" is missing`;
        continue;
      }
      if (!check(value[name])) return `"${name}" is not what it has to be`;
      known += 1;
    }
    const names = Object.keys(value);
    if (names.length === known) return null;
    return `"${names.find((name) => !checks.some(([own]) => own === name))}" does not belong in it`;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(problem: string, cause?: unknown): FactoryError {
  return new FactoryError({
    code: 'audit-leaf-malformed',
    op: 'read audit leaf',
    message: `This is no audit leaf: ${problem}.`,
    hint: 'Every leaf has to be the canonical JSON that service/audit/leaf.ts describes.',
    cause,
  });
}
