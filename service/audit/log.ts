/**
 * The audit log: an append-only Merkle log (RFC 6962) of changes, reads of content, and refusals. Leaves lie in
 * `audit_entries`, written in the transaction of what they record; tiles and signed checkpoints follow within a
 * second.
 */
import { sign } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { FactoryError } from '../errors.ts';
import type { Transaction } from '../storage/transaction.ts';
import { readEntries } from './entries.ts';
import type { EntryPage, EntryQuery } from './entries.ts';
import { Integrator } from './integrator.ts';
import type { AuditHealth, IntegratorOptions, SignedState } from './integrator.ts';
import { encodeLeaf } from './leaf.ts';
import type { AuditEntry, Restored } from './leaf.ts';
import { consistencyRanges, inclusionRanges, leafHash, readProof } from './merkle.ts';
import { verifyConsistency, verifyInclusion } from './merkle.ts';
import { rememberRestored, signRestored } from './restored.ts';
import { insertLeaf, leavesFrom, logAltered, storedSource } from './store.ts';
import { subtreeReader } from './tiles.ts';

export type { AuditHealth } from './integrator.ts';

/** Hashes are base64, lowest first, as RFC 9162's verification takes them; `index` counts from 0. */
export interface InclusionProof {
  seq: number;
  index: number;
  leaf: string;
  size: number;
  root: string;
  hashes: string[];
  /** The signed note of `size` and `root`. */
  checkpoint: string;
}

export interface ConsistencyProof {
  from: number;
  to: number;
  fromRoot: string;
  toRoot: string;
  hashes: string[];
}

export interface CheckpointState {
  size: number;
  /** Hex. */
  root: string;
  at: string | null;
  /** The signed note. */
  text: string;
}

export interface AuditLog {
  /** Keys the commitments of event and decision rows. */
  readonly commitmentKey: Buffer;
  /** The public key that auditors need. */
  readonly vkey: string;
  /** Writes a leaf, at the clock's time, in the caller's transaction; its `seq`. Errors: `audit-leaf-malformed`. */
  append(tx: Transaction, entry: AuditEntry): Promise<number>;
  /** Writes what a restore did to the log, signed with its key. */
  appendRestored(
    tx: Transaction,
    entry: AuditEntry,
    restored: Omit<Restored, 'entry' | 'signature'>,
  ): Promise<number>;
  /** Follows the table in the background. */
  start(): void;
  /** Ends that, after a checkpoint of all that is committed. */
  stop(): Promise<void>;
  /** Takes in and signs what is committed now. Never throws: problems show in `health()`. */
  integrate(): Promise<void>;
  health(): AuditHealth;
  /** The newest checkpoint; null before the first entry. */
  checkpoint(): CheckpointState | null;
  /** Proof against the newest checkpoint. Errors: `audit-entry-unknown`, `audit-not-signed-yet`, `audit-log-altered`. */
  inclusionProof(seq: number): Promise<InclusionProof>;
  /** Errors: `audit-size-unknown`, `audit-not-signed-yet`, `audit-log-altered`. */
  consistencyProof(from: number, to: number): Promise<ConsistencyProof>;
  entries(query: EntryQuery): Promise<EntryPage>;
  /** Signs a statement with the log's key (Ed25519, base64): `<format>\n<name of the key>\n<canonical JSON>`. */
  sign(format: string, statement: unknown): string;
}

export function createAuditLog(options: IntegratorOptions): AuditLog {
  const { storage, keys, clock } = options;
  const integrator = new Integrator(options);
  const source = storedSource(storage.read);
  const subtrees = subtreeReader(source);

  /** The newest checkpoint, which has to cover `size` entries. */
  function covering(size: number): SignedState {
    const signed = integrator.signed;
    if (signed === null || signed.size < size) throw notSignedYet(size);
    return signed;
  }

  return {
    commitmentKey: keys.commitment,
    vkey: keys.vkey,
    start: () => integrator.start(),
    stop: () => integrator.stop(),
    integrate: () => integrator.integrate(),
    health: () => integrator.health(),
    entries: (query) => readEntries(storage.read, query),
    sign: (format, statement) =>
      sign(
        null,
        Buffer.from(`${format}\n${keys.origin}\n${canonicalJson(statement)}`),
        keys.signing,
      ).toString('base64'),

    async append(tx, entry) {
      const leaf = encodeLeaf(entry, clock.iso());
      const seq = await tx.nextSeq('audit_entries');
      await tx.run(insertLeaf, { seq, leaf });
      return seq;
    },

    async appendRestored(tx, entry, restored) {
      const seq = await tx.nextSeq('audit_entries');
      const at = clock.iso();
      const signed = signRestored(keys.origin, keys.signing, at, { ...restored, entry: seq });
      await tx.run(insertLeaf, { seq, leaf: encodeLeaf({ ...entry, restored: signed }, at) });
      await rememberRestored(tx, seq);
      return seq;
    },

    checkpoint() {
      const signed = integrator.signed;
      return (
        signed && { size: signed.size, root: signed.root.toString('hex'), at: signed.at, text: signed.text }
      );
    },

    async inclusionProof(seq) {
      const [row] = await storage.read.all(leavesFrom, { from: seq, limit: 1 });
      if (row?.seq !== seq) throw unknownEntry(seq);
      const { size, root, text } = covering(seq);
      const hashes = await readProof(subtrees, inclusionRanges(seq - 1, size));
      if (!verifyInclusion(leafHash(row.leaf), seq - 1, size, hashes, root)) {
        throw logAltered(`Entry ${seq} is not in the tree that the newest checkpoint covers.`);
      }
      const proof = { seq, index: seq - 1, leaf: row.leaf, size, root: root.toString('base64') };
      return { ...proof, hashes: hashes.map((hash) => hash.toString('base64')), checkpoint: text };
    },

    async consistencyProof(from, to) {
      if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && from <= to)) {
        throw unknownSizes(from, to);
      }
      covering(to);
      const [fromRoot, toRoot, ...hashes] = await readProof(subtrees, [
        { from: 0, to: from },
        { from: 0, to },
        ...consistencyRanges(from, to),
      ]);
      if (!verifyConsistency(from, to, fromRoot!, toRoot!, hashes)) {
        throw logAltered(`The first ${to} entries do not extend the first ${from}.`);
      }
      const text = hashes.map((hash) => hash.toString('base64'));
      return {
        from,
        to,
        fromRoot: fromRoot!.toString('base64'),
        toRoot: toRoot!.toString('base64'),
        hashes: text,
      };
    },
  };
}

function unknownEntry(seq: number): FactoryError {
  return new FactoryError({
    code: 'audit-entry-unknown',
    op: 'prove audit entry',
    target: String(seq),
    message: `There is no audit entry ${seq}.`,
    hint: 'Take `seq` from the list of entries.',
  });
}

function unknownSizes(from: number, to: number): FactoryError {
  return new FactoryError({
    code: 'audit-size-unknown',
    op: 'prove audit consistency',
    message: `There is no consistency proof from size ${from} to size ${to}.`,
    hint: 'Both are whole numbers from 0 on, and the first is not the larger one.',
  });
}

function notSignedYet(size: number): FactoryError {
  return new FactoryError({
    code: 'audit-not-signed-yet',
    op: 'prove audit entry',
    target: String(size),
    message: `No checkpoint covers ${size} entries yet.`,
    hint: 'Ask again in a second; if it stays, look at the health of the audit log.',
    retryable: true,
  });
}
