/**
 * What the log says of a restore. A database that was put back has a shorter log than the checkpoints that were signed
 * before; the statement in its `restored` leaf names those that are given up, one by one, and is signed with the log's
 * key. What no such statement names is a truncation.
 */
import { sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { readMeta, writeMeta } from '../storage/meta.ts';
import type { Reader, Transaction } from '../storage/transaction.ts';
import { asFactoryError } from '../errors.ts';
import { parseVkey } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { decodeLeaf } from './leaf.ts';
import type { AuditLeaf, LogState, Restored } from './leaf.ts';
import { leavesFrom } from './store.ts';

const DOMAIN = 'build-factory/restored/1\n';
/** `meta` row: numbers of the entries that hold a statement, so that a start need not read the whole log for them. */
const KEY = 'restored-entries';

export type UnsignedRestored = Omit<Restored, 'signature'>;

/** The statement with a signature that holds for this log, this entry and this time alone. */
export function signRestored(
  origin: string,
  key: KeyObject,
  at: string,
  unsigned: UnsignedRestored,
): Restored {
  const value = sign(null, signedBytes(origin, at, unsigned), key);
  return { ...unsigned, signature: value.toString('base64') };
}

/** The statement of entry `seq`, if it has one that the key of the log signed. */
export function restoredIn(seq: number, leaf: AuditLeaf, vkey: string): Restored | null {
  const { restored, at } = leaf;
  if (restored?.entry !== seq) return null;
  const { signature, ...unsigned } = restored;
  const { name, key } = parseVkey(vkey);
  const holds = verify(null, signedBytes(name, at, unsigned), key, Buffer.from(signature, 'base64'));
  return holds ? restored : null;
}

function signedBytes(origin: string, at: string, unsigned: UnsignedRestored): Buffer {
  return Buffer.from(`${DOMAIN}${origin}\n${canonicalJson({ ...unsigned, at })}`);
}

/** The entry, and its time, from which on the log has other keys: those of before are lost. */
export interface NewKey {
  entry: number;
  at: string;
}

/** Checkpoints that statements give up. */
export class GivenUp {
  readonly #states = new Set<string>();
  #newKey: NewKey | null = null;

  add({ givenUp, newKey, entry }: Restored, at: string): void {
    for (const state of givenUp) this.#states.add(nameOf(state));
    if (newKey && entry > (this.#newKey?.entry ?? 0)) this.#newKey = { entry, at };
  }

  get size(): number {
    return this.#states.size;
  }

  /** From where the keys hold that there are; null: from the first entry. */
  get newKey(): NewKey | null {
    return this.#newKey;
  }

  has({ size, root }: Pick<Checkpoint, 'size' | 'root'>): boolean {
    return this.#states.has(nameOf({ size, root: root.toString('base64') }));
  }
}

const nameOf = ({ size, root }: LogState): string => `${size} ${root}`;

export async function rememberRestored(tx: Transaction, seq: number): Promise<void> {
  const value = JSON.stringify([...(await entriesOf(tx)), seq]);
  await writeMeta(tx, KEY, value);
}

async function entriesOf(reader: Reader): Promise<number[]> {
  const text = await readMeta(reader, KEY);
  try {
    const value: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(value) ? value.filter((one): one is number => Number.isSafeInteger(one)) : [];
  } catch {
    // Whoever edits the row makes restores unknown, and what they gave up is found missing.
    return [];
  }
}

/** What the statements give up that this log knows of. Only those that its key signed count. */
export async function readGivenUp(reader: Reader, vkey: string): Promise<GivenUp> {
  const found = new GivenUp();
  for (const seq of await entriesOf(reader)) {
    const [row] = await reader.all(leavesFrom, { from: seq, limit: 1 });
    const stated = row?.seq === seq ? statedIn(seq, row.leaf, vkey) : null;
    if (stated !== null) found.add(stated.restored, stated.at);
  }
  return found;
}

function statedIn(seq: number, text: string, vkey: string): { restored: Restored; at: string } | null {
  try {
    const leaf = decodeLeaf(text);
    const restored = restoredIn(seq, leaf, vkey);
    return restored && { restored, at: leaf.at };
  } catch (error) {
    // Verification names an entry that is no leaf.
    if (asFactoryError(error, 'read audit leaf').code === 'audit-leaf-malformed') return null;
    throw error;
  }
}
