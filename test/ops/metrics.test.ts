import { afterAll, beforeAll, expect, it } from 'vitest';
import { createMetrics } from '../../service/ops/metrics.ts';
import { clientOf } from '../http/contract.ts';
import { itemFiles, startService, type TestService } from '../helpers/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({
    workItems: { ...itemFiles('wi-M-1', 'ready'), ...itemFiles('wi-M-2', 'done') },
  });
});
afterAll(() => service.close());

/** `name{labels} value` lines by name and labels. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
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
