import { afterEach, describe, expect, it } from 'vitest';
import { FactoryError } from '../../../service/errors.ts';
import { nightsOf } from '../../../service/jobs/nights.ts';
import { measured, size } from '../../../service/http/web/format.ts';
import { ceiling, pathOf } from '../../../service/http/web/views/line-chart.ts';
import {
  at,
  backupStatus,
  deployed,
  destination,
  drillRecord,
  firstMinutes,
  jobRun,
  LOCAL,
  monthOf,
  type OperationsState,
} from '../../helpers/operations.ts';
import { startPages, type Running, type World } from './context.ts';
import { NOW, principal } from './fixtures.ts';
import { textOf } from './text.ts';

let running: Running | null = null;
afterEach(async () => {
  await running?.close();
  running = null;
});

const world = (change: Partial<OperationsState> = {}): World => ({
  operations: { ...monthOf(NOW), ...change },
});

async function get(path: string, given: World = world()) {
  running ??= await startPages(given);
  const response = await fetch(running.url + path, { redirect: 'manual' });
  const html = await response.text();
  return { status: response.status, html, text: textOf(html).join(' ') };
}

async function post(path: string, form: Record<string, string>, given: World = world()) {
  running ??= await startPages(given);
  const response = await fetch(running.url + path, {
    method: 'POST',
    body: new URLSearchParams(form),
    redirect: 'manual',
  });
  const html = await response.text();
  return {
    status: response.status,
    location: response.headers.get('location'),
    html,
    text: textOf(html).join(' '),
  };
}

const RESTORED = {
  ...{ takenAt: at(NOW, -3_600_000), restoredAt: at(NOW, -60_000), why: 'restore' as const, open: true },
};
const PROVEN = { proven: true, provenAt: at(NOW, -3 * 3_600_000), onHost: true };

describe('how a run ended', () => {
  it.each([
    ['ok', 'done'],
    ['skipped', 'nothing to do'],
    ['degraded', 'partly done'],
    ['lost', 'cut off'],
    ['given-up', 'end not known'],
  ] as const)('%s is told in words, on the page and on that of the run', async (outcome, word) => {
    const run = jobRun(NOW, 'backup', 60_000, { outcome });
    const given = world({ runs: [run] });
    for (const path of ['/operations', `/operations/runs/${run.id}`]) {
      const { html } = await get(path, given);
      expect(html).toMatch(new RegExp(`</svg>\\s*${word}<`));
      expect(html).not.toMatch(new RegExp(`</svg>\\s*${outcome}<`));
    }
  });
});

describe('the page', () => {
  it('says how old the newest verified backup of each destination is, and what is wrong with one', async () => {
    const error = {
      code: 'no-space',
      message: 'The folder is full.',
      hint: 'Free space.',
      at: at(NOW, -60_000),
    };
    const late = {
      backupId: 'x',
      takenAt: at(NOW, -3_600_000),
      verifiedAt: at(NOW, 0),
      how: 'restored' as const,
    };
    const destinations = [
      destination(NOW),
      destination(NOW, { url: LOCAL, sameDisk: true, verified: late, error }),
    ];
    const { text, html } = await get('/operations', world({ backups: backupStatus(NOW, { destinations }) }));
    expect(text).toMatch(/4 min old\s*, budget 15 min/);
    expect(html).toContain('max="100" value="27"');
    expect(text).toMatch(/1 h old|60 min old/);
    expect(html).toContain('max="100" value="100"');
    expect(text).toContain('same disk: not a backup');
    expect(text).toContain('The folder is full.');
    expect(text).toContain('Free space.');
  });

  it('shows 30 nights, and leads from one that failed to its run', async () => {
    const { html, text } = await get('/operations');
    expect(html).toContain('aria-label="30 nights: 28 made, 1 failed, 1 missing"');
    expect(html.match(/<i class="made"/g)).toHaveLength(28);
    expect(text).toContain('2026-11-13: missing');
    const link = /2026-11-05: <a class="link" href="([^"]+)"/.exec(html)?.[1] ?? '';
    expect((await get(link)).text).toContain('No answer.');
  });

  it('draws drills with a title, words and the table behind', async () => {
    const { html, text } = await get('/operations');
    expect(html).toMatch(/<title id="drill-times-title">Seconds of restoring/);
    expect(html).toContain('Starting took 35 s to 41 s, the last time 41 s.');
    expect(text).toContain('24 drills as a table');
    // Drills take one destination after the other.
    expect(html.match(/<td data-label="From"><code class="breakable">s3:/g)).toHaveLength(24);
    expect(text).toContain('23 of the last 24 passed');
  });

  it('says of a drill that failed what failed, and where it is written what to do', async () => {
    const checks = [{ name: 'boot', status: 'fail' as const, detail: 'It did not answer.' }];
    const drills = [drillRecord(NOW, 0, { outcome: 'fail', checks }), drillRecord(NOW, 1)];
    const { text } = await get('/operations', world({ drills }));
    expect(text).toContain('It did not answer.');
    expect(text).toContain('runbooks/drill-failed.md');
    expect(text).toContain(`npx factory drill --from '${drills[0]?.url}'`);
  });

  it('tells in the first minutes what comes next instead of what is missing', async () => {
    const { text, html } = await get('/operations', { operations: firstMinutes(NOW) });
    expect(text).toContain('The first full backup is due in 3 min');
    expect(text).toContain('No drill yet.');
    expect(text).toContain('Nothing ran yet.');
    expect(text).toContain('the first one is still to come');
    expect(html).not.toMatch(/<i class="(missing|failed)"/);
  });

  it.each([
    [{ proven: false, provenAt: null, onHost: true, recoveryOnHost: true }, 'on this machine alone'],
    [
      { proven: false, provenAt: null, onHost: false, recoveryOnHost: false },
      'Nobody has shown yet that the recovery key opens',
    ],
    [
      { ...PROVEN, recoveryOnHost: true },
      'The recovery key is proven, and still lies on this machine as well.',
    ],
    [{ ...PROVEN, recoveryOnHost: false }, 'The recovery key is proven, and lies elsewhere.'],
  ])('says of a recovery key %j what to do', async (recoveryKey, words) => {
    const { text } = await get('/operations', world({ backups: backupStatus(NOW, { recoveryKey }) }));
    expect(text).toContain(words);
    expect(text).toContain('npx factory keys');
    expect(text.includes('Copy it to another machine')).toBe(recoveryKey.onHost && !recoveryKey.proven);
    expect(/Its copy was shown to work\s+3 h ago/.test(text)).toBe(recoveryKey.proven);
  });

  it('says nothing of a recovery key that is proven and elsewhere', async () => {
    expect((await get('/operations')).text).not.toContain('recovery key');
  });

  it('says why jobs are paused', async () => {
    const jobs = { backup: { paused: 'A restore waits to be looked at.' } };
    expect((await get('/operations', world({ jobs }))).text).toContain('A restore waits to be looked at.');
  });

  it('says after a restore what waits, starts nothing, and which facts and runs are of before', async () => {
    const restored = RESTORED;
    const paused = { paused: 'A restore waits.' };
    const jobs = { backup: paused, differential: paused, verify: paused, drill: paused, prune: paused };
    const { html, text } = await get('/operations', world({ restored, jobs }));
    expect(text).toMatch(/Next run\s*paused\s*until the restore is accepted/);
    expect(text).not.toContain('no job is scheduled');
    const buttons = html.match(/<button[^>]*name="step"[^>]*>/g) ?? [];
    expect(buttons.length).toBeGreaterThan(5);
    expect(buttons.filter((button) => !button.includes('disabled'))).toEqual([]);
    expect(text.match(/, as of the backup/g)).toHaveLength(2);
    expect(text).toMatch(/runs between 2026-11-23 .* are not here/);
  });

  it('leads from a problem to its destination, with the cause', async () => {
    const error = { code: 'x', message: 'The folder is full.', hint: 'Free space.', at: at(NOW, -60_000) };
    const destinations = [destination(NOW), destination(NOW, { url: LOCAL, error })];
    const change = { status: 'degraded' as const, detail: '1 of 2 has a problem.', destinations };
    const { html, text } = await get('/operations', world({ backups: backupStatus(NOW, change) }));
    expect(text).toMatch(new RegExp(`${LOCAL}\\s*: The folder is full`));
    expect(html).toContain(`<a class="link" href="#destination-2">${LOCAL}</a>`);
    expect(html).toContain('<tr id="destination-2">');
  });

  it('calls nothing well while every backup is on the disk of the database', async () => {
    const destinations = [destination(NOW, { url: LOCAL, sameDisk: true })];
    const { html, text } = await get('/operations', world({ backups: backupStatus(NOW, { destinations }) }));
    expect(html).toMatch(/Recovery point<\/span\s*><b class="warn">/);
    expect(text).toContain('on the disk of the database: lost with it');
    expect(html).not.toContain('<progress class="ok"');
  });

  it('says of one drill how it went, and draws several of a day over times', async () => {
    const one = await get('/operations', world({ drills: [drillRecord(NOW, 0)] }));
    expect(one.text).toMatch(/The drill passed\s+3 h ago\s*, restored in 11 s, started in 41 s, in all 52 s/);
    expect(one.html).not.toContain('class="chart"');
    await running?.close();
    running = null;
    const drills = [0, 1].map((n) => drillRecord(NOW, 0, { at: `2026-11-22T0${8 - n}:15:00.000Z` }));
    const two = await get('/operations', world({ drills }));
    expect(two.text).toMatch(/2026-11-22 07:15\s*2026-11-22 08:15/);
  });

  it('folds what went as it does every few minutes, so that the night is in sight', async () => {
    const routine = Array.from({ length: 60 }, (_, n) =>
      jobRun(NOW, n % 2 === 0 ? 'differential' : 'verify', n * 60_000),
    );
    const [failed] = routine.splice(10, 1, jobRun(NOW, 'differential', 600_000, { outcome: 'failed' }));
    const night = jobRun(NOW, 'backup', 6 * 3_600_000);
    const { html, text } = await get('/operations', world({ runs: [...routine, night] }));
    expect(failed).toBeDefined();
    expect(text).toMatch(/5 differentials\s*, 5 verifications\s*, all ok/);
    expect(text).toMatch(/24 differentials\s*, 25 verifications\s*, all ok/);
    expect(html).toContain(`/operations/runs/${night.id}`);
    expect((await get('/operations?job=verify')).html).toContain(`/operations/runs/${routine[1]?.id}`);
  });

  it('pages runs, and shows those of one job', async () => {
    const first = await get('/operations');
    const next = /rel="next" href="([^"]+)"/.exec(first.html)?.[1]?.replaceAll('&amp;', '&') ?? '';
    const second = await get(next);
    expect(second.html.match(/class="link" href="\/operations\/runs\//g)?.length).toBeGreaterThanOrEqual(4);
    expect((await get('/operations?job=drill')).text).toContain('Nothing ran yet of this job.');
    expect((await get('/operations?cursor=made-up')).status).toBe(400);
  });

  it('is for those who may read operations, and starts for those who may run them', async () => {
    const auditor = await get('/operations', { ...world(), principal: principal('Aud', 'auditor') });
    expect([auditor.status, auditor.html.includes('Back up now')]).toEqual([200, false]);
    const refused = await post('/operations/jobs/backup', { step: 'plan' });
    expect([refused.status, running?.refusals]).toEqual([403, ['start-job: permission-missing']]);
    await running?.close();
    running = null;
    const agent = await get('/operations', { ...world(), principal: principal('Ag', 'agent') });
    expect(agent.status).toBe(403);
    expect(agent.html).not.toContain('data-page="Operations"');
  });
});

describe('deploys', () => {
  it('shows each with its steps and their times, the newest open', async () => {
    const { html, text } = await get('/operations');
    expect(text).toContain('0.1.0-9d82c7e9562e deployed 20 min ago by ann@laptop, 25 s');
    expect(text).toContain('migrate 0.6 s schema 4 to 5');
    expect(text).toContain('rolled back after the switch 24 h ago');
    expect(text).toContain('It did not start: its process ended.');
    expect(text).toContain('gone back to');
    expect(text).toContain('was cut off');
    expect(text).toContain('2 of the last 5 held');
    expect(html.split('<details open').length).toBe(2);
  });

  it('says of one that goes on that nobody knows yet', async () => {
    const deploys = [deployed(NOW, 60_000, { outcome: null, endedAt: null, steps: [] })];
    const { text } = await get('/operations', world({ deploys: { log: 'read', deploys } }));
    expect(text).toContain('is being deployed, or was cut off');
    expect(text).toContain('No step has ended.');
  });

  it.each([
    ['none', 'this service was started by hand'],
    ['unreadable', 'The log of deploys cannot be read by this service.'],
  ] as const)('says why there are none: %s', async (log, words) => {
    expect((await get('/operations', world({ deploys: { log, deploys: [] } }))).text).toContain(words);
  });

  it('shows what others wrote as text', async () => {
    const deploys = [deployed(NOW, 60_000, { by: '<script>alert(1)</script>', reason: '<img src=x>' })];
    const { html } = await get('/operations', world({ deploys: { log: 'read', deploys } }));
    expect(html).not.toMatch(/<script>alert|<img src=x/);
  });
});

describe('a restore that waits', () => {
  const pause = { ...RESTORED, backupId: 'full/factory/x', epoch: 1, by: 'someone@host' };
  const report = {
    pause,
    drifted: [{ id: 'wi-BF-7', lane: 'done', attention: 'drift' }],
    owed: [{ itemId: 'wi-BF-8', kind: 'lane' }],
    digest: '0123456789abcdef',
  };
  const waiting = () => world({ restored: { ...RESTORED }, report });

  it('shows the whole report, and accepts exactly it', async () => {
    const page = await get('/operations', waiting());
    expect(page.text).toContain('A restore waits to be accepted.');
    expect(page.html).not.toContain(report.digest);
    const shown = await post('/operations/restore', {});
    expect(shown.text).toMatch(/full\/factory\/x.*someone@host.*1 item whose files.*1 queue write/);
    expect(shown.text).toMatch(/drift: wi-BF-7 done.*write lane: wi-BF-8/);
    expect(shown.html).toContain(`name="digest" value="${report.digest}"`);
    expect(shown.text).toContain(`npx factory restore --accept ${report.digest}`);
    expect(running?.accepted).toEqual([]);
    const done = await post('/operations/restore', { step: 'apply', digest: report.digest });
    expect([done.status, done.location]).toEqual([303, '/operations?accepted=true']);
    expect(running?.accepted).toMatchObject([{ kind: 'person' }]);
    const after = await get('/operations?accepted=true');
    expect(after.text).toContain('The restore is accepted');
    expect(after.text).not.toContain('A restore waits');
  });

  it('accepts none that drifted on, and shows it as it is now', async () => {
    const { status, text, html } = await post(
      '/operations/restore',
      { step: 'apply', digest: 'older' },
      waiting(),
    );
    expect(status).toBe(409);
    expect(text).toContain('What drifted is no longer what that report says.');
    expect(html).toContain(`name="digest" value="${report.digest}"`);
    expect(running?.accepted).toEqual([]);
  });

  it('is accepted by those who may run operations alone', async () => {
    const given = { ...waiting(), principal: principal('Aud', 'auditor') };
    const page = await get('/operations', given);
    expect([page.text.includes('A restore waits'), page.text.includes('Look at what drifted')]).toEqual([
      true,
      false,
    ]);
    for (const form of [{}, { step: 'apply', digest: report.digest }])
      expect((await post('/operations/restore', form as Record<string, string>)).status).toBe(403);
    expect(running?.accepted).toEqual([]);
    expect(running?.refusals).toEqual(Array(2).fill('accept-restore: permission-missing'));
  });
});

describe('starting a job', () => {
  it('shows the plan, and the button that starts it has the same words', async () => {
    const { html, text } = await post('/operations/jobs/drill', { step: 'plan' });
    expect(text).toContain('Plan: Drill now');
    expect(text).toContain('Takes a snapshot for drill.');
    expect(html).toMatch(/id="confirm-drill"[^>]*>\s*Drill now\s*</);
    const digest = /name="digest" value="([^"]+)"/.exec(html)?.[1] ?? '';
    const started = await post('/operations/jobs/drill', { step: 'apply', digest });
    expect([started.status, started.location]).toEqual([
      303,
      expect.stringMatching(/^\/operations\/runs\/./),
    ]);
    const run = await get(started.location ?? '');
    expect(run.text).toContain('It is running; you can leave this page and come back.');
    expect(run.html).toContain('hx-trigger="every 2s"');
  });

  it('offers nothing where the job cannot be started now', async () => {
    const { html, text } = await post('/operations/jobs/backup', {}, world({ refused: 'It runs already.' }));
    expect(text).toContain('Not now: It runs already.');
    expect(html).not.toContain('confirm-backup');
  });

  it.each(['plan-outdated', 'job-running', 'job-paused'])('shows the present plan after %s', async (code) => {
    const refusal = new FactoryError({ code, op: 'start job', message: 'It changed.', hint: 'Look again.' });
    const form = { step: 'apply', digest: 'old' };
    const { status, text } = await post('/operations/jobs/backup', form, world({ refusal }));
    expect(status).toBe(409);
    expect(text).toContain('It changed.');
    expect(text).toContain('Plan: Back up now');
  });

  it('knows no other job, and leads from its address back', async () => {
    expect((await post('/operations/jobs/dance', { step: 'plan' })).status).toBe(404);
    expect((await get('/operations/jobs/backup')).status).toBe(303);
    expect((await get('/operations/runs/none')).status).toBe(404);
  });
});

it('shows an ended run with its reason and its log, and looks no further', async () => {
  const error = { code: 'destination-unreachable', message: 'No <answer>.', hint: 'Wait.' };
  const run = jobRun(NOW, 'backup', 60_000, { outcome: 'failed', result: { error }, log: 'half <way>' });
  const { html, text } = await get(`/operations/runs/${run.id}`, world({ runs: [run] }));
  expect(text).toContain('No <answer>.');
  expect(text).toContain('half <way>');
  expect(html).not.toContain('<answer>');
  expect(html).not.toContain('hx-trigger');
});

it('says of a drill that failed which check did', async () => {
  const checks = [
    { name: 'fetch', status: 'pass', detail: 'fetched' },
    { name: 'boot', status: 'fail', detail: 'It did not answer.' },
  ];
  const run = jobRun(NOW, 'drill', 60_000, { outcome: 'failed', result: { outcome: 'fail', checks } });
  expect((await get(`/operations/runs/${run.id}`, world({ runs: [run] }))).text).toContain(
    'Why It did not answer.',
  );
});

describe('nights', () => {
  const day = 86_400_000;
  const states = (...runs: ReturnType<typeof jobRun>[]) => nightsOf(runs, NOW, 4).map(({ state }) => state);

  it.each([
    ['nothing yet', [], ['before', 'before', 'before', 'waiting']],
    ['the first one', [jobRun(NOW, 'backup', day)], ['before', 'before', 'made', 'waiting']],
    [
      'a gap',
      [jobRun(NOW, 'backup', 3 * day), jobRun(NOW, 'backup', 0)],
      ['made', 'missing', 'missing', 'made'],
    ],
    [
      'the best run of a day',
      [
        jobRun(NOW, 'backup', 60_000, { outcome: 'failed' }),
        jobRun(NOW, 'backup', 120_000, { outcome: 'degraded' }),
        jobRun(NOW, 'backup', day, { outcome: 'lost' }),
        jobRun(NOW, 'backup', 2 * day, { outcome: 'skipped' }),
      ],
      ['before', 'made', 'failed', 'partly'],
    ],
    [
      'one that runs',
      [jobRun(NOW, 'backup', 0, { outcome: null, endedAt: null })],
      ['before', 'before', 'before', 'waiting'],
    ],
  ])('of %s', (_, runs, expected) => {
    expect(states(...runs)).toEqual(expected);
  });

  it('counts the due time, not the start of a run that was late', () => {
    const late = jobRun(NOW, 'backup', 0, { dueAt: at(NOW, -day) });
    expect(states(late)).toEqual(['before', 'before', 'made', 'waiting']);
  });
});

describe('the chart', () => {
  it.each([
    [0, 1],
    [0.7, 0.8],
    [1, 1],
    [41, 60],
    [100, 100],
    [101, 200],
  ])('ends above %s at %s', (value, top) => expect(ceiling(value)).toBe(top));

  it('breaks its line where nothing was measured', () => {
    expect(pathOf([10, null, 5, 0], 10)).toBe('M0 0M480 50L720 100');
  });
});

it.each([
  [0.44, '0.4 s'],
  [9.96, '10 s'],
  [99.4, '99 s'],
  [99.6, '1 min'],
])('writes %s seconds as %s', (value, text) => expect(measured(value)).toBe(text));

it.each([
  [831, '831 B'],
  [999.6, '1.0 kB'],
  [182_000, '182 kB'],
  [1_240_000_000, '1.2 GB'],
])('writes %s bytes as %s', (value, text) => expect(size(value)).toBe(text));
