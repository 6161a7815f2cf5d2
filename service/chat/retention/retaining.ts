import { recordChange, type ChangeActor } from '../../audit/events.ts';
import { FactoryError } from '../../errors.ts';
import { newId } from '../../ids.ts';
import type { Reader } from '../../storage/transaction.ts';
import type { Deletion } from '../deletion/deletion.ts';
import { actorOf, type Caller, type ChatDependencies } from '../dependencies.ts';
import type { Policies, PolicyParts } from '../policies.ts';
import { createQueue } from '../erasure/queue.ts';
import { countsOf, digestOf, sampleOf } from './retention.ts';
import type { Counts, Sample, Step } from './retention.ts';
import { createBin, type BinView } from './bin.ts';
import { expiredAt, type Expired } from './retention-facts.ts';
import { createRun, START, type Document, type Progress, type RunRecord } from './retention-run.ts';
import { createRetentionSteps } from './retention-steps.ts';
import { plans, type PlanRow } from './store-retention.ts';

/**
 * Retention: planned, looked at, applied by the digest of the plan. Nothing else lets content expire: no timer, no clock. A
 * run that was interrupted goes on where it was, and leaves a signed record.
 */

export interface PlanView {
  id: string;
  digest: string;
  state: 'planned' | 'applying' | 'applied' | 'undone';
  createdAt: string;
  createdBy: string;
  appliedAt: string | null;
  /** Of both: what goes to the bin, and what is purged from it. */
  counts: Counts & { export: number };
  bin: Counts;
  purge: Counts;
  bytes: number;
  sample: Sample[];
  /** Things that would go and are held. */
  held: number;
  /** Of all that, what is of one class. */
  classes: (Expiring & { class: string })[];
  /** Which holds keep how many things; what two of them keep counts for both. */
  heldBy: { holdId: string; items: number }[];
  /** Steps of its run that are done; a step is about one session. */
  progress: { done: number; of: number };
  record: RunRecord | null;
}

/** What policies make expire. */
export interface Expiring {
  bin: Counts;
  purge: Counts;
  bytes: number;
  held: number;
}

export interface Retention {
  plan(caller: Caller): Promise<PlanView>;
  /** What a plan by these policies would find now; nothing is kept of it. */
  preview(policies: PolicyParts): Promise<Expiring>;
  /** Errors: `not-found`. */
  show(id: string): Promise<PlanView>;
  list(query: { cursor?: string | undefined; limit?: number | undefined }): Promise<{
    plans: PlanView[];
    nextCursor: string | null;
  }>;
  /** Resolves when its run has begun; it goes on in the background, also after a restart. Errors: as of `apply`. */
  begin(caller: Caller, id: string, digest: string): Promise<PlanView>;
  /** Resolves when it was carried out. Errors: `not-found`, `plan-outdated`. */
  apply(caller: Caller, id: string, digest: string): Promise<PlanView>;
  /** Takes back what it put into the bin and what still lies there. Errors: `not-found`, `plan-outdated`. */
  undo(caller: Caller, id: string): Promise<PlanView>;
  /** What lies in the bin, by the runs that put it there, the newest first. */
  inBin(): Promise<BinView[]>;
  /** Of one run; null: nothing of it lies there. */
  inBinOf(id: string): Promise<BinView | null>;
  resume(): Promise<void>;
  /** Resolves when no run is under way. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

export interface RetentionDependencies extends ChatDependencies {
  deletion: Deletion;
  policies: Policies;
}

const LIST = 'retention-plans';
const PAGE = 20;
const SAMPLE = 20;
export function createRetention(deps: RetentionDependencies): Retention {
  const { storage, clock, cursors, projectId, deletion, policies, logger } = deps;
  const steps = createRetentionSteps(deps, deletion);
  const run = createRun(deps, steps);
  const queue = createQueue(run, (id, error) => logger.error({ err: error }, `Retention run ${id} waits.`));

  async function rowOf(reader: Reader, id: string): Promise<PlanRow> {
    const row = await reader.get(plans.byId, { project_id: projectId, id });
    if (!row) throw noPlan(id);
    return row;
  }

  const expiredBy = (document: PolicyParts) =>
    expiredAt(storage.read, projectId, document, clock.now(), deletion);
  const expired = async () => expiredBy(await policies.all());
  const bin = createBin(storage.read, projectId, policies);

  async function begin(caller: Caller, id: string, digest: string): Promise<PlanView> {
    const row = await rowOf(storage.read, id);
    if (row.digest !== digest) throw outdated(id, 'Its digest is another one');
    if (row.state !== 'planned') throw outdated(id, 'It was applied before');
    if (digestOf((await expired()).steps) !== digest)
      throw outdated(id, 'What policies make expire is not what it was when this was planned');
    const by: ChangeActor = actorOf(caller);
    const begun = { applied_at: clock.iso(), progress: JSON.stringify({ ...START, by }) };
    const { changes } = await storage.write((tx) =>
      tx.run(plans.move, { project_id: projectId, id, from: 'planned', to: 'applying', ...begun }),
    );
    if (changes === 0) throw outdated(id, 'It was applied before');
    queue.add(id);
    return viewOf({ ...row, ...begun, state: 'applying' });
  }

  return {
    async plan(caller) {
      const found: Document = await expired();
      const row = {
        ...{ project_id: projectId, id: newId(), digest: digestOf(found.steps), state: 'planned' },
        ...{ created_by: caller.id, created_at: clock.iso(), progress: JSON.stringify(START) },
        document: JSON.stringify(found),
      };
      await storage.write((tx) => tx.run(plans.insert, row));
      return viewOf({ ...row, applied_at: null });
    },

    async preview(document) {
      const { steps, held } = await expiredBy(document);
      return { ...expiring(steps), held };
    },

    show: async (id) => viewOf(await rowOf(storage.read, id)),

    async list({ cursor, limit = PAGE }) {
      const before = cursor === undefined ? null : String(cursors.decode(LIST, cursor));
      const rows = await storage.read.query((db) => {
        let query = db.selectFrom('chat_plans').selectAll().where('project_id', '=', projectId);
        if (before !== null) query = query.where('id', '<', before);
        return query.orderBy('id', 'desc').limit(limit + 1);
      });
      const last = rows.length > limit ? rows[limit - 1] : undefined;
      return {
        plans: rows.slice(0, limit).map(viewOf),
        nextCursor: last ? cursors.encode(LIST, last.id) : null,
      };
    },

    begin,

    async apply(caller, id, digest) {
      await begin(caller, id, digest);
      await queue.idle();
      return viewOf(await rowOf(storage.read, id));
    },

    async undo(caller, id) {
      const row = await rowOf(storage.read, id);
      if (row.state !== 'applied' || row.applied_at === null)
        throw outdated(id, 'It is not one that was applied');
      const { steps: all } = JSON.parse(row.document) as Document;
      const actor = actorOf(caller);
      const binned = new Set(all.filter(({ act }) => act === 'bin').map(({ session }) => session));
      for (const session of binned)
        await storage.write((tx) =>
          steps.takeBack(tx, session, row.applied_at ?? '', { actor, at: clock.iso() }),
        );
      const { progress, applied_at } = row;
      await storage.write(async (tx) => {
        const to = { project_id: projectId, id, from: 'applied', to: 'undone', progress, applied_at };
        await tx.run(plans.move, to);
        await recordChange(tx, deps.audit, {
          ...{ projectId, stream: 'governance', streamId: id, version: 2, type: 'retention-undone' },
          ...{ payload: { sessions: binned.size }, actor, at: clock.iso() },
          action: 'governance.retention-undone',
        });
      });
      return viewOf(await rowOf(storage.read, id));
    },

    async resume() {
      for (const { id } of await storage.read.all(plans.unfinished, { project_id: projectId })) queue.add(id);
    },
    inBin: () => bin.list(),
    inBinOf: async (id) => bin.of((await rowOf(storage.read, id)).id),
    idle: () => queue.idle(),
    stop: () => queue.stop(),
  };
}

function expiring(steps: readonly Step[]): Omit<Expiring, 'held'> {
  return {
    bin: countsOf(steps.filter(({ act }) => act === 'bin')),
    purge: countsOf(steps.filter(({ act }) => act === 'purge')),
    bytes: steps.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function classesOf({ steps, heldIn }: Pick<Expired, 'steps' | 'heldIn'>): PlanView['classes'] {
  const names = [...new Set([...steps.map(({ class: name }) => name), ...Object.keys(heldIn)])].sort();
  return names.map((name) => ({
    class: name,
    ...expiring(steps.filter((step) => step.class === name)),
    held: heldIn[name] ?? 0,
  }));
}

function viewOf(row: PlanRow): PlanView {
  const { steps, held, heldIn = {}, heldBy = {} } = JSON.parse(row.document) as Document;
  const { next, record } = JSON.parse(row.progress) as Progress;
  return {
    ...{ id: row.id, digest: row.digest, state: row.state as PlanView['state'] },
    ...{ createdAt: row.created_at, createdBy: row.created_by, appliedAt: row.applied_at },
    counts: { ...countsOf(steps), export: 0 },
    ...expiring(steps),
    ...{ sample: sampleOf(steps, SAMPLE), held },
    classes: classesOf({ steps, heldIn }),
    heldBy: Object.entries(heldBy).map(([holdId, items]) => ({ holdId, items })),
    progress: { done: next, of: steps.length },
    record,
  };
}

function noPlan(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find retention plan', target },
    message: `There is no retention plan ${target}.`,
    hint: 'GET /api/governance/retention-plans lists them.',
  });
}

function outdated(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'plan-outdated', op: 'apply retention plan', target },
    message: `${why}; nothing was deleted.`,
    hint: 'Make a new plan, look at it, and apply that one: POST /api/governance/retention-plans.',
  });
}
