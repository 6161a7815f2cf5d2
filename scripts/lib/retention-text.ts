import { countsText, type Counts } from './governance-text.ts';
import { fields, table } from './layout.ts';

/** Plans of retention as text. */

export interface Plan {
  id: string;
  digest: string;
  state: string;
  createdAt: string;
  bin: Counts;
  purge: Counts;
  bytes: number;
  held: number;
  sample: { act: string; kind: string; class: string; sessionId: string; id: string | null }[];
  classes: { class: string; bin: Counts; purge: Counts; held: number }[];
  heldBy: { holdId: string; items: number }[];
  progress: { done: number; of: number };
  record: { binned: Counts; purged: Counts; left: number } | null;
}

export function plansText(plans: readonly Plan[], room: number | null): string {
  if (plans.length === 0) return 'No plans.';
  const rows = plans.map(({ id, state, createdAt, bin, purge }) => [
    ...[id, state, createdAt, countsText(bin), countsText(purge)],
  ]);
  return table(['ID', 'STATE', 'MADE', 'INTO THE BIN', 'PURGED'], rows, room);
}

/** What lay in the bin for its days, and what has no bin. */
const PURGED = ' for ever: no undo (lay in the bin for its days, or has no bin: binDays 0)';

export function planText(plan: Plan): string {
  const { id, digest, state, bin, purge, bytes, held, sample, record, progress } = plan;
  const steps = state === 'applying' ? `: ${progress.done} of ${progress.of} steps` : '';
  const rows: [string, string][] = [
    ['plan', id],
    ['state', `${state}${steps}`],
    ['into the bin', countsText(bin)],
    [
      'purged',
      countsText(purge) === 'nothing'
        ? 'nothing'
        : `${countsText(purge)}${state === 'planned' ? PURGED : ''}`,
    ],
    ['bytes', String(bytes)],
    ['held', String(held)],
  ];
  for (const one of plan.classes)
    rows.push([
      'of class',
      `${one.class}: bin ${countsText(one.bin)}; purge ${countsText(one.purge)}; held ${one.held}`,
    ]);
  for (const { holdId, items } of plan.heldBy) rows.push(['held by', `${holdId}: ${items}`]);
  for (const { act, kind, class: of, sessionId, id: one } of sample)
    rows.push(['for example', `${act} ${kind} ${one ?? sessionId} of class ${of}`]);
  if (record)
    rows.push([
      'done',
      `binned ${countsText(record.binned)}; purged ${countsText(record.purged)}; left ${record.left}`,
    ]);
  const text = fields(rows, '');
  return state === 'planned' && sample.length > 0
    ? `${text}\nCarry it out: npx factory governance retention ${id} --apply ${digest}`
    : text;
}
