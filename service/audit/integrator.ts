/**
 * Follows the table of leaves: hashes what is new, stores full tiles, signs checkpoints. Everything is read from the
 * table, because other processes append to it, too; what several of them store and sign is the same.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { FactoryError } from '../errors.ts';
import { asFactoryError } from '../errors.ts';
import type { Storage } from '../storage/transaction.ts';
import { pruneCheckpoints, readCheckpoints, setAside, writeCheckpoint } from './checkpoint-files.ts';
import { signCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import type { AuditKeys } from './keys.ts';
import { consistencyRanges, HASH_BYTES, leafHash, readProof, verifyConsistency } from './merkle.ts';
import type { Hash } from './merkle.ts';
import { readGivenUp } from './restored.ts';
import { leavesFrom, logAltered, readTile, storedSource, storedTiles, storeTiles } from './store.ts';
import { resumeEdge, subtreeReader, TILE_WIDTH } from './tiles.ts';
import type { Tile, TreeEdge } from './tiles.ts';

/** Leaves per turn of the event loop: 2 to 4 ms of hashing. */
const BATCH = 512;
/** How often the table is looked at: a checkpoint has to follow its commit within a second. */
const INTERVAL_MS = 400;
const PRUNE_EVERY = 100;

/** The part of the service's logger that is used here. */
export interface AuditLogger {
  error(fields: object, message: string): void;
}

export interface IntegratorOptions {
  storage: Storage;
  keys: AuditKeys;
  clock: Clock;
  /** The first is the main one. */
  checkpointDirs: string[];
  logger: AuditLogger;
}

export interface SignedState {
  size: number;
  root: Hash;
  /** The signed note. */
  text: string;
  at: string | null;
}

export interface AuditHealth {
  status: 'ok' | 'failing';
  /** Entries in the tree, and entries that the newest checkpoint covers. */
  size: number;
  signedSize: number;
  /** Why no checkpoint is signed or written; null when all is well. */
  problem: FactoryError | null;
}

interface Position {
  edge: TreeEdge;
  /** Hash of the last leaf in the tree: the table's row must still say so when it is extended. */
  tip: Hash | null;
}

export class Integrator {
  readonly #options: IntegratorOptions;
  #position: Position | null = null;
  #signed: SignedState | null = null;
  /** Size of the newest file of each folder. */
  readonly #written = new Map<string, number>();
  #writes = 0;
  #problem: FactoryError | null = null;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;

  constructor(options: IntegratorOptions) {
    this.#options = options;
  }

  /** The newest checkpoint; null before the first. */
  get signed(): SignedState | null {
    return this.#signed;
  }

  health(): AuditHealth {
    return {
      status: this.#problem === null ? 'ok' : 'failing',
      size: this.#position?.edge.size ?? 0,
      signedSize: this.#signed?.size ?? 0,
      problem: this.#problem,
    };
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#turn(), INTERVAL_MS).unref();
    void this.#turn();
  }

  /** Ends the following of the table with a checkpoint of all that is in it. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.integrate();
  }

  /** Takes in everything that is committed now and writes a checkpoint of it. Problems show in `health()`. */
  async integrate(): Promise<void> {
    await this.#running;
    await this.#turn();
  }

  #turn(): Promise<void> {
    this.#running ??= this.#follow().finally(() => (this.#running = null));
    return this.#running;
  }

  async #follow(): Promise<void> {
    try {
      this.#signed ??= await this.#newestSigned();
      this.#position ??= await this.#resume();
      await this.#catchUp(this.#position);
      this.#sign(this.#position.edge);
      await this.#writeCheckpoints();
      this.#problem = null;
    } catch (error) {
      this.#report(asFactoryError(error, 'integrate audit log'));
    }
  }

  /** The largest checkpoint of all folders. A newest file that is not ours is a problem, never passed over. */
  async #newestSigned(): Promise<SignedState | null> {
    const { checkpointDirs, keys, storage } = this.#options;
    const givenUp = await readGivenUp(storage.read, keys.vkey);
    let newest: SignedState | null = null;
    for (const dir of checkpointDirs) {
      if (givenUp.size > 0) await setAside(dir, (checkpoint) => givenUp.has(checkpoint));
      for (const { text } of await readCheckpoints(dir, 1)) {
        const { size, root, at } = verifyCheckpoint(text, keys.vkey);
        this.#written.set(dir, size);
        if (newest === null || size > newest.size) newest = { size, root, text, at };
      }
    }
    return newest;
  }

  /** Goes on after the stored tiles, once these are known to continue the newest checkpoint. */
  async #resume(): Promise<Position> {
    const { read } = this.#options.storage;
    const tiles = await storedTiles(read);
    const source = storedSource(read);
    const edge = await resumeEdge(source, tiles * TILE_WIDTH);
    const signed = this.#signed;
    if (signed !== null && signed.size <= edge.size) {
      const proof = await readProof(subtreeReader(source), consistencyRanges(signed.size, edge.size));
      if (!verifyConsistency(signed.size, edge.size, signed.root, edge.root(), proof))
        throw notContinued(signed.size);
    }
    const last = tiles === 0 ? null : await readTile(read, 0, tiles - 1);
    return { edge, tip: last?.subarray(-HASH_BYTES) ?? null };
  }

  async #catchUp(position: Position): Promise<void> {
    const { read } = this.#options.storage;
    for (;;) {
      const { edge } = position;
      // One row more than is new: the last one in the tree has to be as it was.
      const rows = await read.all(leavesFrom, { from: Math.max(edge.size, 1), limit: BATCH });
      const fresh = edge.size === 0 ? rows : rows.slice(1);
      if (edge.size > 0 && !(rows[0]?.seq === edge.size && leafHash(rows[0].leaf).equals(position.tip!))) {
        throw logAltered(`Entry ${edge.size} is no longer in the log as it was.`);
      }
      if (fresh.length === 0) break;
      this.#position = await this.#extend(position, fresh);
      position = this.#position;
      await nextTurn();
    }
    const signed = this.#signed;
    if (signed !== null && position.edge.size < signed.size) {
      throw logAltered(
        `The log has ${position.edge.size} entries; the newest checkpoint covers ${signed.size}.`,
      );
    }
  }

  /** The position after `rows`, with the tiles that they fill stored. */
  async #extend(position: Position, rows: { seq: number; leaf: string }[]): Promise<Position> {
    const edge = position.edge.copy();
    const signed = this.#signed;
    const tiles: Tile[] = [];
    let tip = position.tip;
    for (const { seq, leaf } of rows) {
      if (seq !== edge.size + 1) throw logAltered(`Entry ${edge.size + 1} is missing before entry ${seq}.`);
      tip = leafHash(leaf);
      tiles.push(...edge.append(tip));
      if (signed?.size === edge.size && !edge.root().equals(signed.root)) throw notContinued(signed.size);
    }
    if (tiles.length > 0) await this.#options.storage.write((tx) => storeTiles(tx, tiles));
    return { edge, tip };
  }

  #sign(edge: TreeEdge): void {
    const { keys, clock } = this.#options;
    if (edge.size === (this.#signed?.size ?? 0)) return;
    const state = { size: edge.size, root: edge.root(), at: clock.iso() };
    this.#signed = { ...state, text: signCheckpoint(keys.origin, keys.signing, state) };
  }

  /** Each folder gets the newest checkpoint; one that fails does not keep it from the others. */
  async #writeCheckpoints(): Promise<void> {
    const signed = this.#signed;
    if (signed === null) return;
    const failures: FactoryError[] = [];
    for (const dir of this.#options.checkpointDirs) {
      if (this.#written.get(dir) === signed.size) continue;
      try {
        await writeCheckpoint(dir, signed.size, signed.text);
        this.#written.set(dir, signed.size);
        if (this.#writes++ % PRUNE_EVERY === 0) await pruneCheckpoints(dir);
      } catch (error) {
        failures.push(asFactoryError(error, 'write checkpoint'));
      }
    }
    if (failures[0] !== undefined) throw failures[0];
  }

  /** Says it once, not at every turn. */
  #report(problem: FactoryError): void {
    const known = this.#problem?.message === problem.message;
    this.#problem = problem;
    if (!known)
      this.#options.logger.error({ err: problem, ...problem.toJSON() }, 'the audit log is not being signed');
  }
}

function notContinued(size: number): FactoryError {
  return logAltered(`The first ${size} entries are not those that the newest checkpoint covers.`);
}
