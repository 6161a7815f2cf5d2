import { afterAll, beforeAll, expect, it } from 'vitest';
import { manualClock } from '../../service/clock.ts';
import { createMetrics } from '../../service/ops/metrics.ts';
import { clientOf } from '../http/contract.ts';
import { fakeOperations, firstMinutes, LOCAL, REMOTE } from '../helpers/operations.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';

const NOW = Date.parse('2026-11-23T02:00:00.000Z');
let service: TestService;
beforeAll(async () => {
  service = await startService({
    operations: fakeOperations({ now: () => NOW }),
    clock: manualClock(new Date(NOW).toISOString()),
    workItems: { ...itemFiles('wi-M-1', 'ready'), ...itemFiles('wi-M-2', 'done') },
  });
});
afterAll(() => service.close());

/** `name{labels} value` lines by name and labels. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end).replace('+Inf', 'Infinity'))];
    }),
  );
}

it('counts requests, actions and blocks, and looks at the rest when it is asked', async () => {
  const owner = clientOf(service.url, service.owner);
  const items = '/api/control-plane/items';
  await owner(`GET ${items}/wi-M-1`);
  await owner(`GET ${items}/wi-M-2`);
  await owner(`GET ${items}/wi-none`);
  await owner(`POST ${items}/wi-M-1/actions/start-execution`);
  await owner(`POST ${items}/wi-M-2/actions/start-execution`);
  await service.context.audit.integrate();
  service.context.metrics.searchRestarts('hung');
  const { text, headers } = await owner('GET /metrics');
  expect(headers.get('content-type')).toContain('version=0.0.4');
  const found = samples(text);
  const route = `route="${items}/:id",method="GET"`;
  expect(found.get(`factory_http_request_duration_seconds_count{${route},status="200"}`)).toBe(2);
  expect(found.get(`factory_http_request_duration_seconds_count{${route},status="404"}`)).toBe(1);
  expect(found.get('factory_actions_total{identity="start-execution",outcome="applied"}')).toBe(1);
  expect(found.get('factory_actions_total{identity="start-execution",outcome="action-blocked"}')).toBe(1);
  expect(found.get('factory_gate_blocks_total{gate="lane-transition"}')).toBe(1);
  expect(found.get('factory_audit_entries')).toBeGreaterThan(4);
  expect(found.get('factory_audit_unsigned_entries')).toBe(0);
  expect(found.get('factory_sse_clients')).toBe(0);
  expect(found.get('factory_search_thread_restarts_total{why="hung"}')).toBe(1);
  expect(found.get('factory_outbox_pending')).toBe(0);
  const health = ['ok', 'degraded', 'failing'].map((status) =>
    found.get(`factory_health_status{status="${status}"}`),
  );
  expect(health.reduce<number>((sum, value) => sum + (value ?? 0), 0)).toBe(1);
});

it('makes no series of ids and keeps applications apart', async () => {
  const { text } = await clientOf(service.url, service.owner)('GET /metrics');
  expect(text).not.toContain('wi-M-1');
  expect(await createMetrics().text()).not.toContain('start-execution');
});

it('names metrics as Prometheus wants them', async () => {
  const { text } = await clientOf(service.url, service.owner)('GET /metrics');
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\w+)$/gm)) {
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
  }
});

it('tells the age of backups and drills, and how jobs ended', async () => {
  const found = samples((await clientOf(service.url, service.owner)('GET /metrics')).text);
  const of = `destination="${REMOTE}"`;
  expect({
    verified: found.get(`factory_backup_age_seconds{${of},state="verified"}`),
    budget: found.get('factory_backup_budget_seconds'),
    overdue: found.get('factory_backup_overdue'),
    proven: found.get('factory_backup_recovery_key_proven'),
    newest: found.get(`factory_backup_bytes{${of},scope="newest"}`),
    drill: found.get('factory_drill_age_seconds'),
    passed: found.get('factory_drill_last_outcome{outcome="pass"}'),
    boot: found.get('factory_boot_seconds'),
    restore: found.get('factory_restore_seconds'),
    ended: found.get('factory_job_last_end_timestamp_seconds{name="backup"}'),
    ok: found.get('factory_job_last_outcome{name="backup",outcome="ok"}'),
    failed: found.get('factory_job_last_outcome{name="backup",outcome="failed"}'),
    runs: found.get('factory_job_runs_total{name="backup",outcome="lost"}'),
  }).toEqual({
    ...{
      verified: 240,
      budget: 900,
      overdue: 0,
      proven: 1,
      newest: 182_000,
      drill: 10_800,
      passed: 1,
      boot: 41,
    },
    ...{ restore: 11, ended: NOW / 1000 - 6 * 3600 + 9, ok: 1, failed: 0, runs: 0 },
  });
  // What never ran has no time of its end, and what never was is older than any budget.
  expect(found.has('factory_job_last_end_timestamp_seconds{name="prune"}')).toBe(false);
});

it('says of what never was that it is older than any budget', async () => {
  const fresh = await startService({ operations: fakeOperations({ now: () => NOW }, firstMinutes(NOW)) });
  try {
    const found = samples((await clientOf(fresh.url, fresh.owner)('GET /metrics')).text);
    expect(found.get(`factory_backup_age_seconds{destination="${LOCAL}",state="verified"}`)).toBe(Infinity);
    expect(found.get('factory_drill_age_seconds')).toBe(Infinity);
    expect(found.has('factory_boot_seconds')).toBe(false);
    expect(found.get('factory_backup_overdue')).toBe(1);
    expect(found.get('factory_backup_recovery_key_proven')).toBe(0);
  } finally {
    await fresh.close();
  }
});
