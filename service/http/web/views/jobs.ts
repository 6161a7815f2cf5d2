import type { JobName, JobSummary } from '../../../jobs/types.ts';
import { relative } from '../format.ts';
import { attribute, html, type Html } from '../html.ts';
import { chip, csrfField, panel, time, type View } from './parts.ts';
import { outcomeChip } from './run.ts';

/** A button and the one that confirms its plan carry the same words. */
export const JOB_LABEL: Record<JobName, string> = {
  backup: 'Back up now',
  differential: 'Back up changes now',
  verify: 'Verify now',
  drill: 'Drill now',
  prune: 'Prune now',
};

/** Asks for the plan. */
export function startForm(view: View, job: JobName, { main = false, live = true } = {}): Html {
  return html`<form method="post" action="/operations/jobs/${job}">
    ${csrfField(view)}<button class="btn ${main && 'main'}" name="step" value="plan" ${!live && html` disabled`}>${JOB_LABEL[job]}</button>
  </form>`;
}

const POLL = 'every 5s';

/** While something runs it looks again by itself; a reload does the same. */
export function jobsPanel(view: View, jobs: readonly JobSummary[], mayRun: boolean, live: boolean): Html {
  const running = jobs.some((job) => job.running !== null);
  const rows = jobs.map((job) => jobRow(view, job, mayRun, live));
  const body = html`<div class="scroll" tabindex="0" role="region" aria-label="Jobs">
    <table class="log jobs">
      <thead>
        <tr>
          <th scope="col">Job</th>
          <th scope="col">Schedule</th>
          <th scope="col">Next</th>
          <th scope="col">Last</th>
          ${mayRun && html`<th scope="col"><span class="sr">Start</span></th>`}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
  return html`<div
    id="jobs"
    ${running && attribute('hx-get', '/operations')}
    ${running && attribute('hx-trigger', POLL)}
    ${running && attribute('hx-select', '#jobs')}
  >
    ${panel('Jobs', body, { bare: true, aside: html`<span class="muted small">times in UTC</span>` })}
  </div>`;
}

function jobRow(view: View, job: JobSummary, mayRun: boolean, live: boolean): Html {
  const { name, title, schedule, nextAt, paused, running, last } = job;
  const next = paused
    ? chip(view, 'warn', 'triangle', 'paused', paused)
    : nextAt === null
      ? html`<span class="muted">not scheduled</span>`
      : html`<time datetime="${nextAt}" title="${nextAt}">${nextText(nextAt, view.now)}</time>`;
  return html`<tr>
    <td data-label="Job">${title}</td>
    <td data-label="Schedule"><code>${schedule}</code></td>
    <td data-label="Next"><span>${next}</span></td>
    <td data-label="Last">
      <span
        >${
          running
            ? html`<a class="link" href="/operations/runs/${running.id}">runs since ${time(view, running.startedAt)}</a>`
            : last
              ? html`<a href="/operations/runs/${last.id}">${outcomeChip(view, last)}</a>
                  ${time(view, last.endedAt ?? last.startedAt)}`
              : html`<span class="muted">never</span>`
        }</span
      >
    </td>
    ${mayRun && html`<td class="n">${startForm(view, name, { live })}</td>`}
  </tr> `;
}

/** What is due is about to start; a time that is long past says so. */
export function nextText(iso: string, now: number): string {
  const seconds = (Date.parse(iso) - now) / 1000;
  if (Math.abs(seconds) < 10) return 'now';
  return seconds < 0 ? `due ${relative(iso, now)}` : relative(iso, now);
}
