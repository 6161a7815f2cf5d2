import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import { FactoryError } from '../../service/errors.ts';
import { createLogger } from '../../service/logger.ts';
import {
  backupStatus,
  destination,
  drillRecord,
  fakeOperations,
  firstMinutes,
  LOCAL,
  monthOf,
  type FakeOperations,
} from '../helpers/operations.ts';
import { startService, type TestService } from '../helpers/service.ts';
import { auditText, clientOf, type Client } from './contract.ts';

const NOW = Date.parse('2026-11-23T02:00:00.000Z');
let service: TestService;
let operations: FakeOperations;
let owner: Client;
let nobody: Client;

beforeAll(async () => {
  operations = fakeOperations({ now: () => NOW });
  service = await startService({ operations, clock: manualClock(new Date(NOW).toISOString()) });
  owner = clientOf(service.url, service.owner);
  nobody = clientOf(service.url, null);
});
afterAll(() => service.close());

function now(change: Partial<FakeOperations['state']>): void {
  Object.assign(operations.state, monthOf(NOW), change);
}

describe('what monitors see of backups', () => {
  const late = destination(NOW, { coveredAt: null });

  it.each([
    ['all is well', backupStatus(NOW), 200],
    ['the budget is reached', backupStatus(NOW, { ageSeconds: 900 }), 200],
    ['one second later', backupStatus(NOW, { ageSeconds: 901 }), 503],
    ['nothing is verified', backupStatus(NOW, { ageSeconds: null }), 503],
    ['it fails', backupStatus(NOW, { status: 'failing' }), 503],
    ['nothing is configured', backupStatus(NOW, { status: 'not-configured', ageSeconds: null }), 503],
    ['one destination is down, another one is not', backupStatus(NOW, { status: 'degraded' }), 200],
  ])('answers where %s', async (_, backups, status) => {
    now({ backups });
    const answer = await nobody('GET /api/health/backups');
    expect(answer.status).toBe(status);
    expect(answer.headers.get('retry-after')).toBe(status === 503 ? '60' : null);
    expect(answer.body['status']).toBe(backups.status);
  });

  it('numbers destinations, and tells no address, path or text of an error', async () => {
    const error = {
      code: 'destination-unreachable',
      message: 'no answer',
      hint: LOCAL,
      at: late.coveredAt ?? '',
    };
    now({
      backups: backupStatus(NOW, {
        destinations: [late, destination(NOW, { url: LOCAL, sameDisk: true, verified: null, error })],
      }),
    });
    const { body, text } = await nobody('GET /api/health/backups');
    expect(body['destinations']).toEqual([
      {
        ...{ number: 1, kind: 's3', state: 'ok', ageSeconds: 840, verifiedHow: 'ciphertext' },
        ...{ sameDisk: false, error: null },
      },
      {
        ...{ number: 2, kind: 'folder', state: 'failing', ageSeconds: null, verifiedHow: null },
        ...{ sameDisk: true, error: 'destination-unreachable' },
      },
    ]);
    for (const secret of ['/srv', 'bf-prod', 'backblaze', 'no answer']) expect(text).not.toContain(secret);
  });
});

describe('what monitors see of drills', () => {
  it.each([
    ['the last one passed', [drillRecord(NOW, 0)], 200, 'restored 3 h ago, booted in 41 s'],
    ['there is none', [], 503, 'never restored'],
    [
      'the last one failed',
      [drillRecord(NOW, 0, { outcome: 'fail' }), drillRecord(NOW, 1)],
      503,
      'restore failed 3 h ago',
    ],
    [
      'the last one that passed is two days old',
      [drillRecord(NOW, 2)],
      503,
      'restored 2 d ago, booted in 41 s',
    ],
    [
      'none came to an end',
      [drillRecord(NOW, 0, { outcome: 'inconclusive' })],
      503,
      'restore inconclusive 3 h ago',
    ],
    ['nothing was booted', [drillRecord(NOW, 0, { bootSeconds: null })], 200, 'restored 3 h ago'],
  ])('answers where %s', async (_, drills, status, badge) => {
    now({ drills });
    expect((await nobody('GET /api/health/drills')).status).toBe(status);
    const { text, headers } = await nobody('GET /api/badge/restore.svg');
    expect(/<title>backup: (.*)<\/title>/.exec(text)?.[1]).toBe(badge);
    expect(headers.get('cache-control')).toBe('public, max-age=60');
    expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin');
    expect(text).not.toMatch(/style|script|href/);
  });
});

it('logs a verdict on backups and drills as an answer, and not as an error', async () => {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger('info', {
    write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  });
  const fresh = await startService({
    logger,
    operations: fakeOperations({ now: () => NOW }, firstMinutes(NOW)),
  });
  try {
    for (const kind of ['backups', 'drills'])
      expect((await clientOf(fresh.url, null)(`GET /api/health/${kind}`)).status).toBe(503);
  } finally {
    await fresh.close();
  }
  const requests = lines.filter(({ req }) => req !== undefined);
  expect(requests.map(({ level, msg, res, err }) => ({ level, msg, res, err }))).toEqual(
    Array(2).fill({ level: 30, msg: 'request completed', res: { status: 503 }, err: undefined }),
  );
});

describe('who may see and start', () => {
  it.each([
    ['owner', 200, 200],
    ['operator', 200, 200],
    ['auditor', 200, 403],
    ['planner', 200, 403],
    ['reviewer', 200, 403],
    ['agent', 403, 403],
    ['ci', 403, 403],
  ] as const)('%s', async (role, read, run) => {
    now({});
    const client = clientOf(service.url, await service.token({ role }));
    for (const path of ['status', 'jobs', 'runs'])
      expect((await client(`GET /api/operations/${path}`)).status).toBe(read);
    expect((await client('POST /api/operations/jobs/backup/plan')).status).toBe(run);
  });

  it('asks everybody else to sign in', async () => {
    expect((await nobody('GET /api/operations/status')).status).toBe(401);
    expect((await nobody('POST /api/operations/jobs/backup/plan')).status).toBe(401);
  });
});

describe('runs', () => {
  it('are paged without their logs, and shown with them', async () => {
    now({});
    const first = await owner('GET /api/operations/runs?limit=20&job=backup');
    const runs = first.body['runs'] as { id: string }[];
    expect(runs).toHaveLength(20);
    expect(first.text).not.toContain('snapshot 1.2 s');
    const cursor = String(first.body['nextCursor']);
    const second = await owner(`GET /api/operations/runs?limit=20&job=backup&cursor=${cursor}`);
    expect([(second.body['runs'] as unknown[]).length, second.body['nextCursor']]).toEqual([9, null]);
    expect((await owner(`GET /api/operations/runs/${runs[0]?.id}`)).body['log']).toContain('snapshot 1.2 s');
  });

  it('are refused where they are not known, as are cursors and jobs', async () => {
    const unknown = '019aa000-0000-7000-8000-000000000000';
    expect((await owner(`GET /api/operations/runs/${unknown}`)).status).toBe(404);
    expect((await owner('GET /api/operations/runs?cursor=made-up')).body['code']).toBe('cursor-unknown');
    expect((await owner('GET /api/operations/runs?job=dance')).status).toBe(400);
    expect((await owner('POST /api/operations/jobs/dance/plan')).status).toBe(404);
  });
});

describe('starting a job', () => {
  const start = (digest: unknown) =>
    owner('POST /api/operations/jobs/backup/runs', { body: digest === undefined ? {} : { digest } });

  it('takes the plan that was shown, and stands in the audit log', async () => {
    now({});
    const plan = await owner('POST /api/operations/jobs/backup/plan');
    const answer = await start(plan.body['digest']);
    expect(answer.status).toBe(202);
    const run = await owner(`GET /api/operations/runs/${String(answer.body['runId'])}`);
    expect(run.body).toMatchObject({ outcome: null, startedBy: { kind: 'token' } });
    await service.context.audit.integrate();
    const log = await auditText(service.url, service.owner);
    expect(log).toContain(`"action":"job.start"`);
    expect(log).toContain(String(answer.body['runId']));
  });

  it.each([
    ['another plan', 'old', null, 'plan-outdated'],
    ['a job that runs', 'backup-may', 'job-running', 'job-running'],
    ['a paused job', 'backup-may', 'job-paused', 'job-paused'],
  ])('refuses %s, and says so in the audit log', async (_, digest, thrown, code) => {
    const refusal =
      thrown === null
        ? null
        : new FactoryError({ code: thrown, op: 'start job', message: 'No.', hint: 'Wait.' });
    now({ refusal });
    const answer = await start(digest);
    expect([answer.status, answer.body['code']]).toEqual([409, code]);
    await service.context.audit.integrate();
    const last = (await auditText(service.url, service.owner)).trim().split('\n').at(-1);
    expect(JSON.parse(last ?? '')).toMatchObject({ action: 'job.start', outcome: 'refused', code });
  });

  it('is malformed without a plan', async () => {
    now({});
    expect((await start(undefined)).status).toBe(400);
    expect((await start('')).status).toBe(400);
  });
});

it('degrades health by the age of backups alone, with 200', async () => {
  now({ backups: backupStatus(NOW, { ageSeconds: 4000 }) });
  const { status, body } = await nobody('GET /api/health');
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'degraded', checks: { backup: { status: 'degraded' } } });
  Object.assign(operations.state, firstMinutes(NOW));
  expect((await nobody('GET /api/health')).body).toMatchObject({ checks: { backup: { status: 'ok' } } });
});
