import { recordChange, type ChangeActor } from '../../audit/events.ts';
import type { Transaction } from '../../storage/transaction.ts';
import type { ChatDependencies } from '../dependencies.ts';
import type { Proof } from '../erasure/erasure.ts';
import { countsOf, NO_COUNTS, type Counts, type Step } from './retention.ts';
import type { RetentionSteps } from './retention-steps.ts';
import { lastLeaf } from '../erasure/store-erasures.ts';
import { plans, type PlanRow } from './store-retention.ts';

/** The run of a plan, and its signed record. */

export const RUN_RECORD = 'build-factory/retention-run/1';

export interface RunRecord {
  format: typeof RUN_RECORD;
  /** Of the plan. */
  id: string;
  digest: string;
  by: string;
  startedAt: string;
  finishedAt: string;
  binned: Counts;
  purged: Counts;
  /** Things of the plan that were left: gone, changed or held since. */
  left: number;
  proof: Proof;
  key: string;
  signature: string;
}

export interface Progress {
  /** The step that comes next. */
  next: number;
  binned: Counts;
  purged: Counts;
  by: ChangeActor | null;
  finishedAt: string | null;
  entry: number | null;
  record: RunRecord | null;
}

export interface Document {
  steps: Step[];
  held: number;
  /** Plans of older releases have neither. */
  heldIn?: Record<string, number>;
  heldBy?: Record<string, number>;
}

export const START: Progress = {
  ...{ next: 0, binned: NO_COUNTS, purged: NO_COUNTS, by: null, finishedAt: null, entry: null, record: null },
};

/** Carries a plan out from where it is; each step and what is remembered of it are one transaction. */
export function createRun(deps: ChatDependencies, steps: RetentionSteps) {
  const { storage, audit, clock, projectId } = deps;

  return async function run(id: string, stopped: () => boolean): Promise<void> {
    const row = await storage.read.get(plans.byId, { project_id: projectId, id });
    if (row?.state !== 'applying' || row.applied_at === null) return;
    const at = row.applied_at;
    const { steps: all } = JSON.parse(row.document) as Document;
    let progress = JSON.parse(row.progress) as Progress;
    while (progress.next < all.length) {
      if (stopped()) return;
      progress = await carryOut(id, at, all, progress.next);
    }
    if (progress.entry === null) progress = await end(row, at, progress);
    await certify(row, at, progress);
  };

  async function carryOut(id: string, at: string, all: readonly Step[], next: number): Promise<Progress> {
    return storage.write(async (tx) => {
      const now = await tx.get(plans.stateOf, { project_id: projectId, id });
      const progress = JSON.parse(now?.progress ?? '') as Progress;
      const step = all[progress.next];
      // Another process carries it out as well.
      if (now?.state !== 'applying' || progress.next !== next || !step || !progress.by) return progress;
      const how = { cause: 'retention', actor: progress.by, at, held: 'leave', journal: true } as const;
      const done = await steps.carryOut(tx, step, how);
      const side = step.act === 'bin' ? 'binned' : 'purged';
      const counted =
        done.items === 0 && !done.session ? NO_COUNTS : countsOf([{ ...step, items: done.items }]);
      const after = { ...progress, next: next + 1, [side]: added(progress[side], counted) };
      await move(tx, id, at, after, 'applying');
      return after;
    });
  }

  function move(
    tx: Transaction,
    id: string,
    applied_at: string,
    progress: Progress,
    to: 'applying' | 'applied',
  ) {
    const where = { project_id: projectId, id, from: 'applying', to };
    return tx.run(plans.move, { ...where, applied_at, progress: JSON.stringify(progress) });
  }

  async function end({ id, digest }: PlanRow, at: string, progress: Progress): Promise<Progress> {
    return storage.write(async (tx) => {
      const finishedAt = clock.iso();
      const { binned, purged, by } = progress;
      await recordChange(tx, audit, {
        ...{ projectId, stream: 'governance', streamId: id, version: 1, type: 'retention-applied' },
        ...{ payload: { digest, binned, purged }, actor: by!, at: finishedAt },
        action: 'governance.retention-applied',
      });
      const entry = Number((await tx.get(lastLeaf, {}))?.seq);
      const ended = { ...progress, entry, finishedAt };
      await move(tx, id, at, ended, 'applying');
      return ended;
    });
  }

  async function certify({ id, digest, document }: PlanRow, startedAt: string, progress: Progress) {
    const { binned, purged, by, finishedAt, entry } = progress;
    if (entry === null || finishedAt === null || by === null) return;
    await audit.integrate();
    const planned = countsOf((JSON.parse(document) as Document).steps);
    const left = total(planned) - total(binned) - total(purged);
    const unsigned = {
      ...{ format: RUN_RECORD, id, digest, by: by.id, startedAt, finishedAt, binned, purged, left },
      ...{ proof: await audit.inclusionProof(entry), key: audit.vkey },
    } as const;
    const signature = audit.sign(RUN_RECORD, unsigned);
    const record: RunRecord = { ...unsigned, format: RUN_RECORD, signature };
    await storage.write((tx) => move(tx, id, startedAt, { ...progress, record }, 'applied'));
  }
}

const total = (counts: Counts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

function added(one: Counts, other: Counts): Counts {
  return Object.fromEntries(
    Object.entries(one).map(([kind, count]) => [kind, count + other[kind as keyof Counts]]),
  ) as Counts;
}
