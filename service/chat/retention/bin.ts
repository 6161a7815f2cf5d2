import type { Reader } from '../../storage/transaction.ts';
import type { Policies, PolicyDocument } from '../policies.ts';
import type { Kind } from '../policy.ts';
import { keepingOf, purgeableFrom, type StepKind } from './retention.ts';
import { policyOf } from './retention-facts.ts';
import type { Document } from './retention-run.ts';
import { binnedIn, inBin, plans, type BinCount } from './store-retention.ts';

/** What lies in the bin, by the run that put it there. */

export interface BinEntry {
  class: string;
  kind: StepKind;
  items: number;
  /** Of whole sessions: what is in them. */
  messages: number;
  bytes: number;
  /** From when on a plan can purge it; null: its policy keeps it for ever now, so it stays where it is. */
  purgeableFrom: string | null;
}

export interface BinView {
  /** The plan of the run; `undo` of it brings all of this back. */
  plan: string;
  binnedAt: string;
  entries: BinEntry[];
}

const BATCH = 200;
const KINDS: readonly StepKind[] = ['session', 'message', 'toolOutput', 'attachment'];

/** Reads what is left in the bin of runs. What was found empty is not looked at again: nothing is put there twice. */
export function createBin(reader: Reader, projectId: string, policies: Pick<Policies, 'all'>) {
  const emptied = new Set<string>();

  async function ofRun(
    { id, at }: { id: string; at: string },
    document: PolicyDocument,
  ): Promise<BinView | null> {
    const row = await reader.get(plans.byId, { project_id: projectId, id });
    const { steps } = JSON.parse(row?.document ?? '{"steps":[]}') as Document;
    const found: BinCount[] = [];
    for (const kind of KINDS) {
      const binned = steps.filter((step) => step.act === 'bin' && step.kind === kind);
      for (let from = 0; from < binned.length; from += BATCH) {
        const ids = binned.slice(from, from + BATCH).map(({ session }) => session);
        found.push(...(await inBin(reader, kind, { projectId, at, ids })));
      }
    }
    const entries = grouped(found).map((one) => ({ ...one, ...purging(one, at, document) }));
    return entries.length === 0 ? null : { plan: id, binnedAt: at, entries };
  }

  return {
    /** The newest first. */
    async list(): Promise<BinView[]> {
      const document = await policies.all();
      const runs = await binnedIn(reader, projectId);
      const views: BinView[] = [];
      for (const { id, state, at } of runs) {
        if (emptied.has(id)) continue;
        const view = await ofRun({ id, at }, document);
        if (view) views.push(view);
        else if (state === 'applied') emptied.add(id);
      }
      return views;
    },
    /** Null: nothing of it lies there. */
    async of(id: string): Promise<BinView | null> {
      const row = await reader.get(plans.stateOf, { project_id: projectId, id });
      if (!row?.applied_at || row.state === 'undone') return null;
      return ofRun({ id, at: row.applied_at }, await policies.all());
    },
  };
}

function grouped(found: readonly BinCount[]): BinCount[] {
  const groups = new Map<string, BinCount>();
  for (const one of found) {
    const key = `${one.class} ${one.kind}`;
    const { items = 0, messages = 0, bytes = 0 } = groups.get(key) ?? {};
    groups.set(key, {
      ...one,
      ...{ items: items + one.items, messages: messages + one.messages, bytes: bytes + one.bytes },
    });
  }
  return [...groups.values()].sort((a, b) => (a.class < b.class ? -1 : a.class > b.class ? 1 : 0));
}

const keptAs = (kind: StepKind): Kind => (kind === 'session' ? 'message' : kind);

function purging({ class: name, kind }: BinCount, at: string, document: PolicyDocument) {
  const { days, binDays } = keepingOf(keptAs(kind), policyOf(document, name), document.general);
  return { purgeableFrom: days === null ? null : purgeableFrom(at, binDays) };
}
