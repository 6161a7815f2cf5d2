/**
 * What stands in the audit log. A leaf carries ids, enums, digests and keyed commitments, never titles or content:
 * the log is kept for ever and read by people who may not see the content.
 */
import { createHmac } from 'node:crypto';
import canonicalize from 'canonicalize';
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
  project: string;
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
  const { actor, action, object, outcome, code, event, decision, project } = entry;
  const leaf = {
    v: LEAF_VERSION,
    type: LEAF_TYPE,
    at,
    actor: { kind: actor.kind, id: actor.id },
    action,
    object: object === null ? null : { kind: object.kind, id: object.id },
    outcome,
    project,
    ...(code === undefined ? {} : { code }),
    ...(event === undefined ? {} : { event: { seq: event.seq, commitment: event.commitment } }),
    ...(decision === undefined ? {} : { decision: { id: decision.id, commitment: decision.commitment } }),
  };
  const problem = leafProblem(leaf);
  if (problem !== null) throw malformed(problem);
  return canonical(leaf);
}

/** The leaf that `text` holds. Throws `audit-leaf-malformed` if it is none, or not in canonical form. */
export function decodeLeaf(text: string): AuditLeaf {
  const value = parseJson(text);
  const problem = leafProblem(value);
  if (problem !== null) throw malformed(problem);
  if (tryCanonical(value) !== text) throw malformed('it is not in canonical form (RFC 8785)');
  return value as AuditLeaf;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed('it is not JSON', error);
  }
}

/** Null for what has no canonical form: JSON can escape half a surrogate pair. */
function tryCanonical(value: unknown): string | null {
  try {
    return canonical(value);
  } catch {
    return null;
  }
}

/** The keyed commitment of a row of `events`: base64url, 43 characters. */
export function eventCommitment(key: Buffer, row: EventRow): string {
  const { seq, project_id, stream, stream_id, version, type, payload, actor, at } = row;
  return commitment(key, 'event', { seq, project_id, stream, stream_id, version, type, payload, actor, at });
}

/** The keyed commitment of a row of `decisions`, whatever its `commitment` column says: base64url, 43 characters. */
export function decisionCommitment(key: Buffer, row: DecisionRow): string {
  const { id, project_id, item_id, identity, principal, outcome, body, at, item_seq } = row;
  return commitment(key, 'decision', {
    id,
    project_id,
    item_id,
    identity,
    principal,
    outcome,
    body,
    at,
    item_seq,
  });
}

/** HMAC-SHA256(key, domain || 0 || kind || 0 || canonical JSON of the row). */
function commitment(key: Buffer, kind: string, row: Record<string, string | number>): string {
  return createHmac('sha256', key)
    .update(`${COMMITMENT_DOMAIN}\0${kind}\0${canonical(row)}`)
    .digest('base64url');
}

function canonical(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('not a JSON value');
  return text;
}

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string' && value !== '' && value.length <= LONGEST_TEXT;
const isCommitment: Check = (value) => typeof value === 'string' && /^[\w-]{43}$/.test(value);
const isSeq: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 1;
const isTime: Check = (value) =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);
const isRef = shape({ kind: isText, id: isText });

/** Maps, because a leaf may name a property that every object has. */
const REQUIRED = new Map<string, Check>(
  Object.entries({
    v: (value: unknown) => value === LEAF_VERSION,
    type: (value: unknown) => value === LEAF_TYPE,
    at: isTime,
    actor: isRef,
    action: isText,
    object: (value: unknown) => value === null || isRef(value),
    outcome: (value: unknown) => value === 'applied' || value === 'refused',
    project: isText,
  } satisfies Record<string, Check>),
);
const OPTIONAL = new Map<string, Check>(
  Object.entries({
    code: isText,
    event: shape({ seq: isSeq, commitment: isCommitment }),
    decision: shape({ id: isText, commitment: isCommitment }),
  }),
);

/** What keeps `value` from being a leaf, or null. */
function leafProblem(value: unknown): string | null {
  if (!isObject(value)) return 'it is not an object';
  const missing = [...REQUIRED.keys()].find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return `"${missing}" is missing`;
  for (const [name, part] of Object.entries(value)) {
    const check = REQUIRED.get(name) ?? OPTIONAL.get(name);
    if (check === undefined) return `"${name}" does not belong in it`;
    if (!check(part)) return `"${name}" is not what it has to be`;
  }
  return null;
}

/** A check for an object with exactly these keys. */
function shape(fields: Record<string, Check>): Check {
  const names = Object.keys(fields);
  return (value) =>
    isObject(value) &&
    Object.keys(value).length === names.length &&
    names.every((name) => Object.hasOwn(value, name) && fields[name]!(value[name]));
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
