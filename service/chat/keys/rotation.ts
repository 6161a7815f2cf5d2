import { recordChange, SYSTEM, type ChangeActor } from '../../audit/events.ts';
import { newId } from '../../ids.ts';
import type { Transaction } from '../../storage/transaction.ts';
import type { AttachmentFiles } from '../attachments/attachment-files.ts';
import type { Caller, ChatDependencies } from '../dependencies.ts';
import { createQueue } from '../erasure/queue.ts';
import { createSealing, type Step } from './sealing.ts';

/**
 * New content keys: what comes is sealed with them from the first moment on, and what is there is sealed anew in steps, while
 * the service goes on. Older keys stay in the keyring, because backups from before are sealed with them; they go with
 * their session or subject as ever. What is done is known by the key that a row names, so after a stop it goes on by itself.
 */

export interface Rotation {
  id: string;
  state: 'running' | 'done';
  /** Keys up to this one are the old ones. */
  upTo: number;
  startedAt: string;
  startedBy: string;
  finishedAt: string | null;
  /** Values that were sealed anew: messages, titles, what is known of attachments. */
  sealed: number;
  /** Rows whose key is not in the keyring, or that were altered: they stay as they are. */
  unreadable: number;
}

export type RotationView = Omit<Rotation, 'upTo'>;

export interface Rotations {
  /** The last one; null: there was none. */
  show(): RotationView | null;
  /** While one runs, that one. */
  begin(caller: Caller): Promise<RotationView>;
  resume(): void;
  idle(): Promise<void>;
  stop(): Promise<void>;
}

const KINDS = ['messages', 'titles', 'attachments'] as const;

export function createRotations(
  deps: Pick<ChatDependencies, 'storage' | 'audit' | 'clock' | 'logger' | 'projectId' | 'keys'>,
  files: Pick<AttachmentFiles, 'sealAgain'>,
): Rotations {
  const { storage, audit, clock, keys, projectId, logger } = deps;
  const queue = createQueue(run, (id, error) =>
    logger.error({ err: error }, `The rotation of keys ${id} waits to go on.`),
  );
  const read = (): Rotation | null => {
    const text = keys.rotation();
    return text === null ? null : (JSON.parse(text) as Rotation);
  };

  async function record(
    tx: Transaction,
    rotation: Rotation,
    type: string,
    actor: ChangeActor,
  ): Promise<void> {
    const { id, sealed, unreadable } = rotation;
    const payload = type === 'keys-rotated' ? { sealed, unreadable } : {};
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'governance', streamId: id, version: 1, type, payload, actor },
      ...{ at: clock.iso(), action: `governance.${type}` },
    });
  }

  const sealing = createSealing(deps, files);

  async function run(_: string, stopped: () => boolean): Promise<void> {
    let rotation = read();
    if (rotation?.state !== 'running') return;
    // Counted anew: those of before a stop are met again.
    rotation = { ...rotation, unreadable: 0 };
    for (const kind of KINDS)
      for (let after = 0; ;) {
        if (stopped()) return;
        const { upTo }: Rotation = rotation;
        const step = await storage.write((tx) => sealing[kind](tx, { upTo, after }));
        if (step === null) break;
        after = step.last;
        rotation = plus(rotation, step);
        keys.setRotation(JSON.stringify(rotation));
      }
    const done: Rotation = { ...rotation, state: 'done', finishedAt: clock.iso() };
    await storage.write(async (tx) => {
      await record(tx, done, 'keys-rotated', SYSTEM);
      tx.afterCommit(() => keys.setRotation(JSON.stringify(done)));
    });
    // What was sealed with the older keys lies in the log of changes for a while.
    await storage.settle();
  }

  return {
    show: () => viewOf(read()),
    async begin(caller) {
      const { kind, personId, roles } = caller;
      const begun = await storage.write(async (tx) => {
        const before = read();
        if (before?.state === 'running') return before;
        const rotation: Rotation = {
          ...{ id: newId(), state: 'running', startedAt: clock.iso(), startedBy: caller.id },
          ...{ finishedAt: null, sealed: 0, unreadable: 0 },
          // Writers take turns: whoever writes after this one seals with a new key.
          upTo: keys.retire(),
        };
        await record(tx, rotation, 'keys-rotation-began', { kind, id: caller.id, personId, roles });
        tx.afterCommit(() => keys.setRotation(JSON.stringify(rotation)));
        return rotation;
      });
      queue.add(begun.id);
      return viewOf(begun)!;
    },
    resume() {
      const rotation = read();
      if (rotation?.state === 'running') queue.add(rotation.id);
    },
    idle: () => queue.idle(),
    stop: () => queue.stop(),
  };
}

const plus = (rotation: Rotation, { sealed, unreadable }: Step): Rotation => ({
  ...rotation,
  sealed: rotation.sealed + sealed,
  unreadable: rotation.unreadable + unreadable,
});

function viewOf(rotation: Rotation | null): RotationView | null {
  if (rotation === null) return null;
  const { upTo: _, ...view } = rotation;
  return view;
}
