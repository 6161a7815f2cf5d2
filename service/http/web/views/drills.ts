import type { DrillOutcome, DrillRecord, DrillStatus, JobSummary } from '../../../jobs/types.ts';
import { absolute, measured, plural, relative, shortId } from '../format.ts';
import { html, type Html } from '../html.ts';
import { lineChart } from './line-chart.ts';
import { chip, icon, panel, time, type IconName, type Tone, type View } from './parts.ts';

const MARK: Record<DrillOutcome, { icon: IconName; tone: Tone; word: string }> = {
  pass: { icon: 'tick', tone: 'ok', word: 'passed' },
  fail: { icon: 'cross', tone: 'bad', word: 'failed' },
  inconclusive: { icon: 'question', tone: 'warn', word: 'inconclusive' },
};

/** Restores that were done, and how long they took. */
export function drillPanel(
  view: View,
  status: DrillStatus,
  history: readonly DrillRecord[],
  jobs: readonly JobSummary[],
): Html {
  if (history.length === 0) return panel('Restore drills', noDrill(view, jobs), { bare: true, id: 'drills' });
  const passed = history.filter(({ outcome }) => outcome === 'pass').length;
  const body = html`${status.last && status.last.outcome !== 'pass' && lastFailed(view, status.last)}
    ${chart(view, [...history].reverse()) ?? lastDrill(view, history)}
    <details id="drill-table">
      <summary class="small">${plural(history.length, 'drill')} as a table</summary>
      ${table(view, history)}
    </details>`;
  return panel('Restore drills', body, {
    aside: html`<span class="muted small">${passed} of the last ${history.length} passed</span>`,
    id: 'drills',
  });
}

function noDrill(view: View, jobs: readonly JobSummary[]): Html {
  const drill = jobs.find(({ name }) => name === 'drill');
  const next = drill?.nextAt;
  const first = drill?.running
    ? 'The first one runs now.'
    : next && `The first one is due ${relative(next, view.now)}.`;
  return html`<p class="empty">
    No drill yet. A drill fetches a backup from a destination, restores it and starts the application on it: only then
    is it known that it can be done, and how long it takes.
    ${first}
  </p>`;
}

function lastFailed(view: View, { outcome, checks, at, url }: DrillRecord): Html {
  const { icon: name, tone, word } = MARK[outcome];
  const failed = checks.filter(({ status }) => status === 'fail');
  return html`<p class="${tone}">${icon(view, name, tone)} The last drill ${word} ${time(view, at)}.</p>
    <ul class="plain small odd">
      ${failed.map((check) => html`<li><b>${check.name}</b> ${check.detail}</li>`)}
    </ul>
    <p class="small">
      <code>runbooks/drill-failed.md</code> says what to look at; to hold it again:
      <code class="breakable">npx factory drill --from '${url}'</code>
    </p>`;
}

/** One is no line to draw. */
function lastDrill(view: View, [drill]: readonly DrillRecord[]): Html | null {
  if (!drill || drill.outcome !== 'pass') return null;
  const took = (what: string, value: number | null) => value !== null && `, ${what} ${measured(value)}`;
  return html`<p>
    ${icon(view, 'tick', 'ok')} The drill passed
    ${time(view, drill.at)}${took('restored in', drill.restoreSeconds)}${took('started in', drill.bootSeconds)}${took('in all', drill.rtoSeconds)}.
  </p>`;
}

/** Below the ends of the chart: the day, or the time where both are of one day. */
function endText(at: string, other: string): string {
  return at.slice(0, 10) === other.slice(0, 10) ? `${at.slice(0, 10)} ${at.slice(11, 16)}` : at.slice(0, 10);
}

function chart(view: View, drills: readonly DrillRecord[]): Html | null {
  const [first, last] = [drills[0], drills.at(-1)];
  const measuredOnes = drills.filter((drill) => drill.restoreSeconds !== null || drill.bootSeconds !== null);
  if (!first || !last || measuredOnes.length < 2) return null;
  const of = (read: (drill: DrillRecord) => number | null) => drills.map(read);
  return lineChart({
    id: 'drill-times',
    title: 'Seconds of restoring and of starting, over the last drills',
    description: `${rangeText('Restoring', of(restore))} ${rangeText('Starting', of(boot))}`,
    unit: 's',
    ends: [endText(first.at, last.at), endText(last.at, first.at)],
    series: [
      { label: 'restore', stroke: 'solid', values: of(restore) },
      { label: 'start of the application', stroke: 'dashed', values: of(boot) },
    ],
  });
}

const restore = ({ restoreSeconds }: DrillRecord) => restoreSeconds;
const boot = ({ bootSeconds }: DrillRecord) => bootSeconds;

function rangeText(what: string, values: readonly (number | null)[]): string {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return `${what} was not measured.`;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  return `${what} took ${measured(low)} to ${measured(high)}, the last time ${measured(known.at(-1) ?? 0)}.`;
}

function table(view: View, drills: readonly DrillRecord[]): Html {
  const figure = (value: number | null) =>
    value === null ? html`<span class="muted">–</span>` : measured(value);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Drills">
    <table class="log compact drills">
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">Outcome</th>
          <th scope="col" class="n">Restore</th>
          <th scope="col" class="n">Start</th>
          <th scope="col" class="n">In all</th>
          <th scope="col" class="n">Would be lost</th>
          <th scope="col">Backup</th>
          <th scope="col">From</th>
        </tr>
      </thead>
      <tbody>
        ${drills.map(
          (drill) =>
            html`<tr>
              <td data-label="When"><time datetime="${drill.at}">${absolute(drill.at).slice(0, 16)}</time></td>
              <td data-label="Outcome">${chip(view, MARK[drill.outcome].tone, MARK[drill.outcome].icon, MARK[drill.outcome].word)}</td>
              <td class="n" data-label="Restore">${figure(drill.restoreSeconds)}</td>
              <td class="n" data-label="Start">${figure(drill.bootSeconds)}</td>
              <td class="n" data-label="In all">${figure(drill.rtoSeconds)}</td>
              <td class="n" data-label="Would be lost">${figure(drill.rpoSeconds)}</td>
              <td data-label="Backup"><code title="${drill.backupId ?? 'none'}, evidence ${drill.digest}"
                  >${drill.backupId?.split('/').at(-1) ?? shortId(drill.id)}</code
                ></td>
              <td data-label="From"><code class="breakable">${drill.url}</code></td>
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}
