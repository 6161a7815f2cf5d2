import type { JobRun, RunOutcome } from '../../../jobs/types.ts';
import { absolute, measured, plural, shortId } from '../format.ts';
import { attribute, html, type Html } from '../html.ts';
import {
  chip,
  copyButton,
  fact,
  icon,
  panel,
  time,
  twin,
  withCode,
  type IconName,
  type Tone,
  type View,
} from './parts.ts';

const MARK: Record<RunOutcome, { icon: IconName; tone: Tone; word: string }> = {
  ok: { icon: 'tick', tone: 'ok', word: 'done' },
  skipped: { icon: 'dash', tone: 'plain', word: 'nothing to do' },
  degraded: { icon: 'triangle', tone: 'warn', word: 'partly done' },
  failed: { icon: 'cross', tone: 'bad', word: 'failed' },
  lost: { icon: 'question', tone: 'bad', word: 'cut off' },
  'given-up': { icon: 'dash', tone: 'plain', word: 'end not known' },
};

const MEANING: Record<RunOutcome, string> = {
  ok: 'All of it was done.',
  skipped: 'There was nothing to do.',
  degraded: 'Some of it was done; the log names what was not.',
  failed: 'It was not done.',
  lost: 'Its process ended without a word; the next run takes over.',
  'given-up': 'It ran when the backup was taken that was put back since; how it ended is not known here.',
};

export function outcomeChip(view: View, { outcome }: JobRun): Html {
  if (outcome === null) return chip(view, 'info', 'clock', 'running');
  return chip(view, MARK[outcome].tone, MARK[outcome].icon, MARK[outcome].word);
}

const ROUTINE: Partial<Record<JobRun['job'], string>> = {
  differential: 'differential',
  verify: 'verification',
};

interface Fold {
  runs: JobRun[];
}

const isRoutine = ({ job, outcome }: JobRun): boolean =>
  ROUTINE[job] !== undefined && (outcome === 'ok' || outcome === 'skipped');

/** Runs one after the other that all went as they do every few minutes, as one each. Newest first. */
export function folded(runs: readonly JobRun[]): (JobRun | Fold)[] {
  const rows: (JobRun | Fold)[] = [];
  for (const run of runs) {
    const last = rows.at(-1);
    if (!isRoutine(run)) rows.push(run);
    else if (last && 'runs' in last) last.runs.push(run);
    else rows.push({ runs: [run] });
  }
  return rows.flatMap((row) => ('runs' in row && row.runs.length === 1 ? row.runs : [row]));
}

function foldRow({ runs }: Fold): Html {
  const jobs = [...new Set(runs.map(({ job }) => job))].sort();
  const words = jobs.map((job, index) => {
    const count = plural(runs.filter((run) => run.job === job).length, ROUTINE[job] ?? job);
    return html`${index > 0 && ', '}<a class="link" href="/operations?job=${job}#runs">${count}</a>`;
  });
  const since = runs.at(-1)?.startedAt ?? '';
  return html`<tr>
    <td data-label="Started">
      <time datetime="${since}">${absolute(since).slice(0, 19)}</time>
    </td>
    <td colspan="4" data-label="Jobs"><span class="muted">and since: ${words}, all ok</span></td>
  </tr> `;
}

/** `fold`: routine runs in one line. */
export function runTable(
  view: View,
  runs: readonly JobRun[],
  names: ReadonlyMap<string, string>,
  fold = false,
): Html {
  const rows: readonly (JobRun | Fold)[] = fold ? folded(runs) : runs;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Runs">
    <table class="log runs">
      <thead>
        <tr>
          <th scope="col">Started</th>
          <th scope="col">Job</th>
          <th scope="col">Outcome</th>
          <th scope="col">Took</th>
          <th scope="col">By</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map((run) =>
          'runs' in run
            ? foldRow(run)
            : html`<tr>
              <td data-label="Started">
                <a class="link" href="/operations/runs/${run.id}"
                  ><time datetime="${run.startedAt}">${absolute(run.startedAt).slice(0, 19)}</time></a
                >
              </td>
              <td data-label="Job"><span class="word">${run.job}</span></td>
              <td data-label="Outcome">${outcomeChip(view, run)}</td>
              <td data-label="Took">${tookText(run, view.now)}</td>
              <td data-label="By">${byText(run, names)}</td>
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** One run. While it is under way it looks again by itself; a reload does the same. */
export function runPage(view: View, run: JobRun, names: ReadonlyMap<string, string>): Html {
  const { id, job, outcome, endedAt, dueAt, startedAt, log, result } = run;
  const running = endedAt === null;
  const url = `/operations/runs/${id}`;
  const failure = errorOf(result);
  const facts = html`<dl class="facts wide">
    ${fact('Outcome', html`${outcomeChip(view, run)} ${outcome && html`<span class="muted">${MEANING[outcome]}</span>`}`)}
    ${failure && fact('Why', html`<span class="bad">${failure.message}</span>${failure.hint && html`<br />${withCode(failure.hint)}`}`)}
    ${fact('Started', html`${time(view, startedAt)}, ${byText(run, names)}`)}
    ${dueAt && fact('Due', absolute(dueAt))} ${fact('Took', tookText(run, view.now))}
    ${fact('Run', html`<code class="breakable">${id}</code>${copyButton(view, id, 'id')}`)}
  </dl>`;
  return html`<p class="crumbs"><a href="/operations">Operations</a> / <a href="/operations?job=${job}#runs">${job}</a></p>
    <div class="row head"><h1>Run of ${job}</h1></div>
    <div
      id="run"
      class="stack"
      ${running && attribute('hx-get', url)}
      ${running && attribute('hx-trigger', 'every 2s')}
      ${running && attribute('hx-select', '#run')}
    >
      ${running && html`<p role="status">${icon(view, 'clock', 'info')} It is running; you can leave this page and come back. <a class="link" href="${url}">Look again</a></p>`}
      ${panel('Facts', facts)}
      ${panel('Log', log === '' ? html`<p class="muted">${running ? 'Nothing was said yet.' : 'It said nothing.'}</p>` : html`<pre tabindex="0" class="run-log">${log}</pre>`)}
      ${
        result !== null &&
        result !== undefined &&
        panel('Result', html`<pre tabindex="0" class="run-log">${JSON.stringify(result, null, 2)}</pre>`)
      }
      ${twin(view, { cli: `npx factory jobs run ${job}`, curl: `curl "$FACTORY_URL/api/operations/runs/${id}" -H "Authorization: Bearer $FACTORY_TOKEN"` })}
    </div>`;
}

function errorOf(result: unknown): { message: string; hint: string | null } | null {
  const error = (result as { error?: unknown } | null)?.error as
    { message?: unknown; hint?: unknown } | undefined;
  if (typeof error?.message !== 'string') return failedCheck(result);
  return { message: error.message, hint: typeof error.hint === 'string' ? error.hint : null };
}

/** A drill that failed is no error of the verb: its checks say what did. */
function failedCheck(result: unknown): { message: string; hint: null } | null {
  const { checks } = (result ?? {}) as { checks?: unknown };
  const failed = (Array.isArray(checks) ? (checks as Record<string, unknown>[]) : []).find(
    ({ status }) => status === 'fail',
  );
  return typeof failed?.['detail'] === 'string' ? { message: failed['detail'], hint: null } : null;
}

function tookText({ startedAt, endedAt }: JobRun, now: number): string {
  const seconds = ((endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt)) / 1000;
  return `${measured(Math.max(0, seconds))}${endedAt === null ? ' so far' : ''}`;
}

function byText({ startedBy: { kind, id } }: JobRun, names: ReadonlyMap<string, string>): string {
  if (kind === 'schedule') return 'by the schedule';
  if (kind === 'command-line') return 'on the command line';
  return `by ${id === null ? `a ${kind}` : (names.get(id) ?? shortId(id))}`;
}
