import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { fakeOperations } from '../helpers/operations.ts';
import { startService } from '../helpers/service.ts';
import { clientOf } from '../http/contract.ts';

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; runbook: string };
}

const file = (path: string) => new URL(`../../${path}`, import.meta.url);
const read = (path: string) => parse(readFileSync(file(path), 'utf8')) as unknown;
const { groups } = read('infra/alerts/backups.yaml') as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

it('leads from each alert to a runbook that is there', () => {
  for (const { alert, annotations, labels } of rules) {
    expect(annotations.runbook, alert).toMatch(/^runbooks\/[a-z-]+\.md$/);
    expect(existsSync(file(annotations.runbook)), alert).toBe(true);
    expect(['critical', 'warning']).toContain(labels.severity);
  }
});

it('names each alert in its runbook', () => {
  for (const { alert, annotations } of rules)
    expect(readFileSync(file(annotations.runbook), 'utf8'), alert).toContain(`\`${alert}\``);
});

it('judges each alert by a test', () => {
  const { tests } = read('infra/alerts/backups.test.yaml') as {
    tests: { alert_rule_test?: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const firing = tests.flatMap(({ alert_rule_test: cases = [] }) =>
    cases.filter(({ exp_alerts: expected }) => expected.length > 0).map(({ alertname }) => alertname),
  );
  expect([...new Set(firing)].sort()).toEqual(rules.map(({ alert }) => alert).sort());
});

it('asks for metrics that the service has', async () => {
  const clock = { now: () => Date.parse('2026-11-23T02:00:00.000Z') };
  const service = await startService({ operations: fakeOperations(clock) });
  try {
    const { text } = await clientOf(service.url, service.owner)('GET /metrics');
    for (const { alert, expr } of rules) {
      const names = expr.match(/\bfactory_\w+/g) ?? [];
      expect(names.length, alert).toBeGreaterThan(0);
      for (const name of names) expect(text, `${alert}: ${name}`).toMatch(new RegExp(`^${name}[{ ]`, 'm'));
    }
  } finally {
    await service.close();
  }
});
