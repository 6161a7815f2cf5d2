import type { CriterionDocument, ItemDocument, ItemSummary } from '../../service/work-items/documents.ts';
import { fields, plain, table, wrap } from './layout.ts';

/** Items as text: the sections of the item page, in their order. */

/** `room`: columns that a line has; titles are shortened to it. Null: as many as it takes. */
export function listText(items: readonly ItemSummary[], room: number | null = null): string {
  if (items.length === 0) return 'No work items.';
  const rows = items.map(({ id, lane, state, criteria, drift, holder, title }) => [
    id,
    lane,
    state,
    `${criteria.met}/${criteria.total}`,
    drift.length === 0 ? '-' : String(drift.length),
    holder ?? '-',
    title,
  ]);
  return table(['ID', 'LANE', 'STATE', 'CRITERIA', 'DRIFT', 'HOLDER', 'TITLE'], rows, room);
}

export function itemText(item: ItemDocument): string {
  const lane = item.lane.charAt(0).toUpperCase() + item.lane.slice(1);
  const basis = item.stateBasis === 'record' ? `${item.state} (basis: record)` : item.state;
  const sections: [heading: string, body: string][] = [
    ['Execution Context', executionContext(item)],
    [
      'Lifecycle Metadata',
      fields([
        ['Lane', lane],
        ['Work type', item.workType],
        ['Source', item.source],
        ['Status', item.status],
        ['State', basis],
        ['Done criteria', item.criteria.length],
      ]),
    ],
    ['Queue Truth', queueTruth(item)],
    ['Reconciliation Guidance', item.guidance.map((line) => wrap(`- ${line}`, '  ')).join('\n')],
    ['Prompt Context', prompt(item)],
    ['Criteria', item.criteria.map(criterion).join('\n')],
    [
      'Problems',
      item.problems.map(({ file, line, message }) => `  ${file}:${line}: ${plain(message)}`).join('\n'),
    ],
  ];
  const head = [`${lane} Work Item`, plain(item.title), ...(item.summary ? [wrap(item.summary)] : [])].join(
    '\n',
  );
  const shown = sections.filter(([, body]) => body !== '').map(([heading, body]) => `${heading}\n${body}`);
  return [head, ...shown].join('\n\n');
}

function executionContext({ id, branch, validation, pr, handoff }: ItemDocument): string {
  const rows: [string, string | null][] = [
    ['ID', id],
    ['Branch', branch],
    ['Validation', validation],
    ['PR', pr],
  ];
  if (handoff)
    rows.push(['Handoff', `${handoff.state}${handoff.holder ? `, held by ${handoff.holder}` : ''}`]);
  return fields(rows);
}

function queueTruth({ queueTruth: { freshness, drift, notConnected, notComputed } }: ItemDocument): string {
  const age = freshness.ageSeconds === null ? 'never read' : `snapshot age ${freshness.ageSeconds}s`;
  const lines = [
    `Freshness: ${freshness.verdict} (${age})`,
    `Drift: ${drift.length === 0 ? 'none.' : `${drift.length} open.`}`,
    ...drift.map(
      ({ code, severity, field, left, right }) =>
        `- ${severity} ${code} ${field}: ${left.source} says ${left.value}, ${right.source} says ${right.value}.`,
    ),
  ];
  if (notConnected.length > 0) lines.push(`Not connected: ${notConnected.join(', ')}.`);
  if (notComputed.length > 0) lines.push(`Not computed: ${notComputed.map(({ code }) => code).join(', ')}.`);
  return lines.map((line) => wrap(line, '  ')).join('\n');
}

function prompt({ prompt: { path, excerpt, missing } }: ItemDocument): string {
  const text = missing ? 'The prompt is missing.' : (excerpt ?? '');
  return `  ${plain(path)}\n${plain(text.trimEnd()).replace(/^(?=.)/gm, '  ')}`;
}

function criterion({ number, status, text, evidence }: CriterionDocument): string {
  const newest = evidence.at(-1);
  const shown = newest
    ? ` (${newest.producer}${newest.commit ? `, ${newest.commit}` : ''}, ${newest.at})`
    : '';
  return wrap(`${number}. ${status}${shown}: ${text}`, '  ');
}
