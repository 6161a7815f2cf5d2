import type { Night } from '../../../jobs/nights.ts';
import type {
  BackupStatus,
  DrillRecord,
  DrillStatus,
  JobName,
  JobPlan,
  JobRun,
  JobSummary,
  Restored,
  ShownReport,
} from '../../../jobs/types.ts';
import type { Deploys } from '../../../jobs/deploy-history.ts';
import { isOverdue, verifiedAge } from '../../../jobs/ages.ts';
import { absolute, duration, measured, relative } from '../format.ts';
import { html, type Html } from '../html.ts';
import { deployPanel } from './deploys.ts';
import { destinationPanel } from './destinations.ts';
import { drillPanel } from './drills.ts';
import { JOB_LABEL, jobsPanel, nextText, startForm } from './jobs.ts';
import { nightsPanel } from './nights.ts';
import {
  inlineCommand,
  csrfField,
  hiddenFields,
  icon,
  notice,
  panel,
  time,
  twin,
  type Tone,
  type View,
  withCode,
} from './parts.ts';
import { acceptedNotice, reportPanel, restoredNotice } from './restored.ts';
import { runTable } from './run.ts';

export interface OperationsPage {
  backups: BackupStatus;
  drills: DrillStatus;
  /** Newest first. */
  history: DrillRecord[];
  deploys: Deploys;
  jobs: JobSummary[];
  restored: Restored | null;
  nights: Night[];
  runs: JobRun[];
  nextCursor: string | null;
  /** Of which job the runs are; null: of all. */
  job: JobName | null;
  names: ReadonlyMap<string, string>;
  mayRun: boolean;
  /** What was asked for and waits for its confirmation. */
  plan: JobPlan | null;
  /** What drifted since a restore, and waits to be accepted. */
  report: ShownReport | null;
  /** It was accepted just now. */
  accepted: boolean;
  refusal: { message: string; hint: string } | null;
}

export function operationsPage(view: View, page: OperationsPage): Html {
  const { backups, jobs, mayRun, plan } = page;
  const offered = (['drill', 'backup'] as const).filter((name) => jobs.some((job) => job.name === name));
  return html`<div class="row head">
      <h1>Operations</h1>
      <span class="muted small hide-s">every number measured, not promised</span>
      ${
        mayRun &&
        html`<span class="push row">${offered.map((name) => startForm(view, name, { main: name === 'backup', live: page.restored?.open !== true }))}</span>`
      }
    </div>
    ${page.refusal && notice(view, 'bad', page.refusal.message, html`<p>${page.refusal.hint}</p>`, 'result')}
    ${page.accepted && acceptedNotice(view)} ${page.restored?.open === true && restoredNotice(view, page.restored, mayRun)}
    ${page.report && reportPanel(view, page.report)} ${plan && planPanel(view, plan)} ${statusNotice(view, page)} ${keyNotice(view, backups)}
    <div class="stack">
      ${tiles(view, page)} ${nightsPanel(page.nights)} ${destinationPanel(view, backups, page.restored)}
      ${drillPanel(view, page.drills, page.history, jobs)} ${deployPanel(view, page.deploys)} ${jobsPanel(view, jobs, mayRun, page.restored?.open !== true)} ${runsPanel(view, page)}
    </div>`;
}

/** What the job would do, and the button that does it: its label is that of the button that led here. */
function planPanel(view: View, { job, steps, refused, digest }: JobPlan): Html {
  const body = html`<ol class="steps">
      ${steps.map((step) => html`<li>${withCode(step)}</li>`)}
    </ol>
    ${
      refused === null
        ? html`<form method="post" action="/operations/jobs/${job}" class="row">
            ${csrfField(view)}${hiddenFields({ digest })}
            <button class="btn main" name="step" value="apply" id="confirm-${job}" autofocus>${JOB_LABEL[job]}</button>
            <a class="btn quiet" href="/operations">Not now</a>
          </form>`
        : html`<p class="warn">${icon(view, 'triangle', 'warn')} Not now: ${refused}</p>
            <p><a class="btn quiet" href="/operations">Back</a></p>`
    }
    ${twin(view, {
      cli: `npx factory jobs run ${job}`,
      curl: `curl -X POST "$FACTORY_URL/api/operations/jobs/${job}/runs" -H "Authorization: Bearer $FACTORY_TOKEN" -H "Content-Type: application/json" -d '{"digest":"${digest}"}'`,
    })}`;
  return html`<div class="plan-of-job">${panel(`Plan: ${JOB_LABEL[job]}`, body, { id: 'plan' })}</div>`;
}

/** Only what needs somebody: when all is well the tiles say so. */
function statusNotice(view: View, { backups, jobs, restored }: OperationsPage): Html | null {
  // That jobs are paused is said with the restore that they wait for.
  if (restored?.open === true) return null;
  const paused = jobs.find((job) => job.paused !== null);
  if (paused?.paused)
    return notice(view, 'warn', 'Jobs are paused.', html`<p>${withCode(paused.paused)}</p>`);
  if (backups.status === 'ok') return null;
  if (backups.status === 'not-configured') {
    return notice(
      view,
      'warn',
      backups.detail,
      html`<p>Set <code>FACTORY_BACKUP_DESTINATIONS</code>, then restart the service.</p>`,
    );
  }
  const isNew = backups.ageSeconds === null && backups.destinations.every(({ error }) => error === null);
  if (isNew && backups.status !== 'failing')
    return notice(view, 'info', backups.detail, firstSteps(view, jobs));
  return notice(
    view,
    backups.status === 'failing' ? 'bad' : 'warn',
    withCode(backups.detail),
    causes(view, backups),
  );
}

/** Which destination it is, and why: the row of each says all of it. */
function causes(view: View, { destinations, budgetSeconds }: BackupStatus): Html | null {
  const found = destinations.flatMap((one, index) => {
    const age = verifiedAge(one, view.now);
    const late = age === null ? 'no verified backup' : `the newest verified backup is ${duration(age)} old`;
    const why = one.error?.message ?? (age === null || age > budgetSeconds ? late : null);
    return why === null ? [] : [{ url: one.url, why, row: `#destination-${index + 1}` }];
  });
  if (found.length === 0) return null;
  return html`<ul class="plain">
    ${found.map(({ url, why, row }) => html`<li><a class="link" href="${row}">${url}</a>: ${why}</li>`)}
  </ul>`;
}

/** In the first minutes of an installation everything is empty, and that is right. */
function firstSteps(view: View, jobs: readonly JobSummary[]): Html {
  const at = (name: JobName) => {
    const job = jobs.find((one) => one.name === name);
    return job?.running ? 'now' : job?.nextAt ? relative(job.nextAt, view.now) : null;
  };
  const [backup, drill] = [at('backup'), at('drill')];
  return html`<p>
    ${backup && `The first full backup is due ${backup}`}${drill && `, the first restore drill ${drill}`}.
    Both can be started now.
  </p>`;
}

function keyNotice(view: View, { recoveryKey, status }: BackupStatus): Html | null {
  const { proven, provenAt, onHost, recoveryOnHost } = recoveryKey;
  if (status === 'not-configured' || (proven && !onHost)) return null;
  const copy = html`<p>
    Copy it to another machine and keep it as you keep passwords: when this disk is lost, backups without it are lost as
    well. ${inlineCommand('npx factory keys show')} says where it lies.
  </p>`;
  const prove = html`<p>
    Prove the copy where it is kept: ${inlineCommand('npx factory keys prove --challenge')} here makes a canary,
    ${inlineCommand('npx factory keys prove --identity COPY --canary FILE')} there opens it, and
    ${inlineCommand('npx factory keys prove --proof TEXT')} here keeps what that printed.
  </p>`;
  if (proven)
    return notice(
      view,
      'info',
      `The recovery key is proven, and ${recoveryOnHost ? 'still lies on this machine as well' : 'lies elsewhere'}.`,
      html`<p>
        Its copy was shown to work${provenAt !== null && html` ${time(view, provenAt)}`}.
        ${recoveryOnHost ? 'The key itself' : 'Another key that opens these backups'} lies here: whoever gets this
        machine reads every backup. ${inlineCommand('npx factory keys show')} says where it lies.
      </p>`,
    );
  return notice(
    view,
    'warn',
    onHost
      ? 'The recovery key lies on this machine alone, as far as anybody has shown.'
      : 'Nobody has shown yet that the recovery key opens these backups.',
    html`${onHost && copy}${prove}`,
  );
}

function tiles(view: View, { backups, drills, jobs, restored }: OperationsPage): Html {
  const { last } = drills;
  const recovery = drills.lastPass?.rtoSeconds ?? null;
  const tile = (label: string, value: string, tone: Tone, words: string) =>
    html`<div class="panel tile">
      <span class="muted small">${label}</span><b class="${tone}">${value}</b
      ><span class="small muted">${words}</span>
    </div> `;
  const due = jobs
    .filter((job) => job.nextAt !== null && job.paused === null)
    .sort((a, b) => (a.nextAt ?? '').localeCompare(b.nextAt ?? ''))[0];
  const same = backups.destinations.length > 0 && backups.destinations.every(({ sameDisk }) => sameDisk);
  const paused = jobs.some((job) => job.paused !== null);
  return html`<div class="tiles">
    ${tile(
      'Recovery point',
      backups.ageSeconds === null ? 'none yet' : duration(backups.ageSeconds),
      backups.ageSeconds === null && backups.status !== 'failing'
        ? 'plain'
        : isOverdue(backups)
          ? 'bad'
          : same
            ? 'warn'
            : 'ok',
      `newest verified backup, ${same ? 'on the disk of the database: lost with it' : `budget ${duration(backups.budgetSeconds)}`}`,
    )}
    ${tile(
      'Recovery time',
      recovery === null ? 'not measured' : measured(recovery),
      recovery === null ? 'plain' : 'ok',
      'last drill that passed, from destination to serving',
    )}
    ${tile(
      'Last drill',
      last === null ? 'none yet' : DRILL_WORD[last.outcome],
      last === null ? 'plain' : last.outcome === 'pass' ? 'ok' : last.outcome === 'fail' ? 'bad' : 'warn',
      last === null
        ? `a backup restored and started, every ${duration(drills.budgetSeconds)} at the latest`
        : `${relative(last.at, view.now)}, budget ${duration(drills.budgetSeconds)}`,
    )}
    ${tile(
      'Next run',
      due?.nextAt ? nextText(due.nextAt, view.now) : paused ? 'paused' : 'none',
      due ? 'plain' : 'warn',
      due ? due.title : paused ? pausedWords(restored) : 'no job is scheduled',
    )}
  </div>`;
}

const pausedWords = (restored: Restored | null): string =>
  restored?.open ? 'until the restore is accepted' : 'something outside starts the jobs';

const DRILL_WORD = { pass: 'passed', fail: 'failed', inconclusive: 'inconclusive' } as const;

function runsPanel(view: View, { runs, nextCursor, job, jobs, names, restored }: OperationsPage): Html {
  const filters = html`<nav class="row small choices" aria-label="Runs of">
    <a class="btn small" href="/operations#runs" ${job === null && html` aria-current="true"`}>All</a>
    ${jobs.map(
      ({ name, title }) =>
        html`<a class="btn small" href="/operations?job=${name}#runs" ${job === name && html` aria-current="true"`}
          >${title}</a
        > `,
    )}
  </nav>`;
  const query = new URLSearchParams({
    ...(job ? { job } : {}),
    ...(nextCursor ? { cursor: nextCursor } : {}),
  });
  const gap =
    restored &&
    html`<p class="choices small muted">
      The database was put back ${time(view, restored.restoredAt)}: runs between ${absolute(restored.takenAt)} and
      ${absolute(restored.restoredAt)} are not here.
    </p>`;
  const body = html`${filters}${gap}
  ${
    runs.length === 0
      ? html`<p class="empty">Nothing ran yet${job !== null && ' of this job'}.</p>`
      : runTable(view, runs, names, job === null)
  }
  ${
    nextCursor &&
    html`<p class="more"><a class="btn" rel="next" href="/operations?${query.toString()}#runs">Older runs</a></p>`
  }`;
  return panel('Runs', body, { bare: true, id: 'runs' });
}
