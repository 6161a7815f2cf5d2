import { recordChange, SYSTEM, type ChangeActor } from '../../audit/events.ts';
import { sameJson } from '../../canonical-json.ts';
import { FactoryError } from '../../errors.ts';
import type { Reader, Transaction } from '../../storage/transaction.ts';
import type { How } from '../deletion/deletion.ts';
import { sessionsOf } from './erase.ts';
import type { ErasureDependencies } from './erasures.ts';
import { certificateOf, CERTIFICATE, isHeldBack, NOT_HELD, plus, type Progress } from './erasure.ts';
import { erasures, lastLeaf, type ErasureRow } from './store-erasures.ts';
import { subjects, type SubjectRow } from '../store.ts';

/** Carrying an erasure out: take away what can go, end it or wait for holds, certify what was done. */
export function createErasureRun(deps: ErasureDependencies) {
  const { storage, audit, clock, directory, keys, projectId, deletion, eraser } = deps;

  async function rowOf(reader: Reader, id: string): Promise<ErasureRow> {
    const row = await reader.get(erasures.byId, { project_id: projectId, id });
    if (!row) throw noErasure(id);
    return row;
  }

  async function record(tx: Transaction, id: string, type: string, payload: object, actor: ChangeActor) {
    await recordChange(tx, audit, {
      ...{ projectId, stream: 'governance', streamId: id, version: 1, type, payload, actor },
      ...{ at: clock.iso(), action: `governance.${type}` },
    });
    return Number((await tx.get(lastLeaf, {}))?.seq);
  }

  const howNow = (): How => ({
    ...{ cause: 'erasure', actor: SYSTEM, at: clock.iso(), held: 'leave', journal: true },
  });

  async function save(tx: Transaction, row: ErasureRow, change: Partial<ErasureRow>): Promise<void> {
    const { id, state, finished_at, document, certificate } = { ...row, ...change };
    await tx.run(erasures.update, { project_id: projectId, id, state, finished_at, document, certificate });
  }

  /** All that can go, a transaction a step. */
  async function takeAway(id: string, subject: number, stopped: () => boolean): Promise<void> {
    for await (const { number } of sessionsOf(storage.read, subject))
      for (let after: number | null = 0; after !== null;) {
        if (stopped()) return;
        const from: number = after;
        after = await storage.write(async (tx) => {
          const done = await eraser.step(tx, subject, number, from, howNow());
          if (!done) return null;
          const row = await rowOf(tx, id);
          const progress = plus(JSON.parse(row.document) as Progress, done.class, done.counts);
          await save(tx, row, { document: JSON.stringify(progress) });
          return done.after;
        });
      }
  }

  /** Nothing is left: the name and the keys go. Or holds keep something: that is what it waits for. */
  async function end(id: string, subject: SubjectRow): Promise<void> {
    await storage.write(async (tx) => {
      const row = await rowOf(tx, id);
      const held = await eraser.held(tx, subject.number);
      const before = JSON.parse(row.document) as Progress;
      const waits = isHeldBack(held);
      if (waits && row.state === 'partial-held' && sameJson(held, before.held)) return;
      const what = { subject: subject.id, erased: before.erased, held };
      const type = waits ? 'erasure-held' : 'erasure-done';
      const entry = await record(tx, id, type, what, SYSTEM);
      const at = clock.iso();
      const progress: Progress = { ...before, entry, held: waits ? held : NOT_HELD };
      await save(tx, row, { finished_at: at, document: JSON.stringify(progress) });
      if (waits) return;
      await tx.run(subjects.name, { number: subject.number, name: null });
      await tx.run(subjects.state, { number: subject.number, state: 'erased', erased_at: at });
      const { id: of, lookup } = subject;
      await deletion.journal(tx, at, { kind: 'erase-subject', subject: of, lookup, erasure: id });
      tx.afterCommit(() => {
        directory.forget(subject.number);
        keys.forgetSubject(subject.id);
      });
    });
  }

  async function certify(id: string, subject: string): Promise<void> {
    const row = await rowOf(storage.read, id);
    const progress = JSON.parse(row.document) as Progress;
    if (progress.entry === null || row.finished_at === null) return;
    await audit.integrate();
    const unsigned = certificateOf({
      ...{ erasure: { ...row, finished_at: row.finished_at }, subject, progress },
      ...{
        copies: await deps.keyCopies.where(),
        proof: await audit.inclusionProof(progress.entry),
        key: audit.vkey,
      },
    });
    const certificate = JSON.stringify({ ...unsigned, signature: audit.sign(CERTIFICATE, unsigned) });
    await storage.write(async (tx) => save(tx, await rowOf(tx, id), { state: unsigned.status, certificate }));
  }

  async function run(id: string, stopped: () => boolean): Promise<void> {
    const row = await rowOf(storage.read, id);
    if (row.state === 'done') return;
    const subject = (await storage.read.get(subjects.byNumber, { number: row.subject }))!;
    if (subject.state !== 'erased') {
      await takeAway(id, subject.number, stopped);
      if (stopped()) return;
      await end(id, subject);
    }
    // A crash can have come between the end and this.
    if ((await storage.read.get(subjects.byNumber, { number: row.subject }))?.state === 'erased')
      keys.forgetSubject(subject.id);
    await deps.filesGone();
    await deps.keyCopies.dropLocal();
    await storage.settle();
    await certify(id, subject.id);
  }

  return { record, rowOf, run };
}

function noErasure(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'not-found', op: 'find erasure', target },
    message: `There is no erasure ${target}.`,
    hint: 'GET /api/governance/erasures lists them.',
  });
}
