import { recordChange, type ChangeActor } from '../../audit/events.ts';
import type { Transaction } from '../../storage/transaction.ts';
import type { Deletion, How } from '../deletion/deletion.ts';
import type { ChatDependencies } from '../dependencies.ts';
import { isIn, rangesOf } from '../erasure/ranges.ts';
import type { Step } from './retention.ts';
import { factsOf } from './retention-facts.ts';
import { attachments, removal } from '../deletion/store-deletion.ts';
import { bin, unbin } from './store-retention.ts';
import { sessions, type SessionRow } from '../store.ts';

/** One step of a plan in one transaction: into the bin, or away through the one place that deletes. */

export interface StepDone {
  items: number;
  /** Whether it was the whole session. */
  session: boolean;
}

const NOTHING: StepDone = { items: 0, session: false };

export function createRetentionSteps(
  deps: Pick<ChatDependencies, 'audit' | 'projectId' | 'changed'>,
  deletion: Deletion,
) {
  const { audit, projectId } = deps;

  async function record(
    tx: Transaction,
    row: SessionRow,
    type: string,
    items: number,
    by: { actor: ChangeActor; at: string },
  ): Promise<void> {
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'session', streamId: row.id, version: row.version + 1, type },
      ...{ payload: { items }, ...by, action: `session.${type}` },
    });
    tx.afterCommit(() => deps.changed(row.id));
  }

  /** It is as it was planned: nothing was written to it and nothing of it is held. */
  async function isAsPlanned(tx: Transaction, row: SessionRow, step: Step): Promise<boolean> {
    const { messages, files, held } = await factsOf(tx, row, deletion);
    const inPlan = isIn(step.ranges);
    return (
      !held &&
      messages.length === step.items &&
      messages.every((one) => !one.held && inPlan({ seq: one.seq, created_at: one.createdAt })) &&
      files.every((file) => !file.held)
    );
  }

  async function session(tx: Transaction, row: SessionRow, step: Step, how: How): Promise<StepDone> {
    if (!(await isAsPlanned(tx, row, step))) return NOTHING;
    if (step.act === 'purge') {
      const removed = await deletion.session(tx, row, how);
      return { items: removed.messages, session: removed.session };
    }
    const { changes } = await tx.run(bin.session, { number: row.number, at: how.at });
    if (changes === 0) return NOTHING;
    await record(tx, row, 'binned', step.items, how);
    return { items: step.items, session: true };
  }

  async function messages(tx: Transaction, row: SessionRow, step: Step, how: How): Promise<StepDone> {
    const inPlan = isIn(step.ranges);
    if (step.act === 'purge')
      return { items: (await deletion.messages(tx, row, inPlan, how)).messages, session: false };
    const kept = await keptOf(tx, row);
    const live = await tx.all(removal.live, { session: row.number });
    const going = live.filter((one) => one.binned_at === null && inPlan(one) && !kept(one));
    for (const [from, to] of rangesOf(going))
      await tx.run(bin.messages, { session: row.number, from, to, at: how.at });
    const bytes = going.reduce((sum, one) => sum + one.bytes, 0);
    const less = { messages: going.length, bytes };
    await tx.run(removal.shrink, { number: row.number, ...less, updated_at: how.at });
    return done(tx, row, 'messages-binned', going.length, how);
  }

  async function outputs(tx: Transaction, row: SessionRow, step: Step, how: How): Promise<StepDone> {
    const inPlan = isIn(step.ranges);
    if (step.act === 'purge')
      return { items: (await deletion.outputs(tx, row, inPlan, how)).messages, session: false };
    const kept = await keptOf(tx, row);
    const all = await tx.all(removal.outputs, { session: row.number });
    const going = all.filter((one) => one.tool_binned_at === null && inPlan(one) && !kept(one));
    for (const [from, to] of rangesOf(going))
      await tx.run(bin.outputs, { session: row.number, from, to, at: how.at });
    await tx.run(removal.touch, { number: row.number, updated_at: how.at });
    return done(tx, row, 'outputs-binned', going.length, how);
  }

  async function files(tx: Transaction, row: SessionRow, step: Step, how: How): Promise<StepDone> {
    const ids = new Set(step.files);
    if (step.act === 'purge')
      return {
        items: (await deletion.files(tx, row, ({ id }) => ids.has(id), how)).messages,
        session: false,
      };
    const kept = await deletion.isKept(tx, row);
    const all = await tx.all(attachments.ofSession, { session: row.number });
    const going = all.filter((file) => file.binned_at === null && ids.has(file.id) && !kept(file));
    for (const { number } of going) await tx.run(bin.file, { number, at: how.at });
    await tx.run(removal.touch, { number: row.number, updated_at: how.at });
    return done(tx, row, 'attachments-binned', going.length, how);
  }

  /** A message stays with its files: where one of them is held, it is. */
  async function keptOf(tx: Transaction, row: SessionRow) {
    const kept = await deletion.isKept(tx, row);
    const all = await tx.all(attachments.ofSession, { session: row.number });
    const withHeldFile = new Set(all.filter(kept).map(({ message }) => message));
    return (one: { seq: number; subject: number | null; created_at: string }): boolean =>
      kept(one) || withHeldFile.has(one.seq);
  }

  async function done(tx: Transaction, row: SessionRow, type: string, items: number, how: How) {
    if (items > 0) await record(tx, row, type, items, how);
    return { items, session: false };
  }

  const OF = { session, message: messages, toolOutput: outputs, attachment: files };

  return {
    /** What is not there any more, or was changed since, is left as it is. */
    async carryOut(tx: Transaction, step: Step, how: How): Promise<StepDone> {
      const row = await tx.get(sessions.byId, { project_id: projectId, id: step.session });
      return row?.deleted_at === null ? OF[step.kind](tx, row, step, how) : NOTHING;
    },
    /** Out of the bin again, what was put there at a time. */
    async takeBack(tx: Transaction, id: string, at: string, by: { actor: ChangeActor; at: string }) {
      const row = await tx.get(sessions.byId, { project_id: projectId, id });
      if (row?.deleted_at !== null) return;
      const of = { session: row.number, at };
      const back = await tx.all(unbin.binned, of);
      const bytes = back.reduce((sum, one) => sum + one.bytes, 0);
      const more = { messages: -back.length, bytes: -bytes };
      await tx.run(unbin.session, { number: row.number, at });
      for (const statement of [unbin.messages, unbin.outputs, unbin.files]) await tx.run(statement, of);
      await tx.run(removal.shrink, { number: row.number, ...more, updated_at: by.at });
      await record(tx, row, 'taken-back', back.length, by);
    },
  };
}

export type RetentionSteps = ReturnType<typeof createRetentionSteps>;
