import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fakeOperations } from '../helpers/operations.ts';
import { startService } from '../helpers/service.ts';
import { ROOT } from './service.ts';

/** Judged by Prometheus' own tool. */
function promtool(args: string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, {
    cwd: join(ROOT, 'infra/alerts'),
    encoding: 'utf8',
    input,
  });
  if (error) throw new Error('promtool is missing: apt-get install --no-install-recommends prometheus');
  expect(status, `promtool ${args.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
  return stdout + stderr;
}

it('the alert rules are rules, and fire when they should', () => {
  expect(promtool(['check', 'rules', 'backups.yaml'])).toContain('SUCCESS');
  expect(promtool(['test', 'rules', 'backups.test.yaml'])).toContain('SUCCESS');
});

it('the metrics are named and described as the field does', async () => {
  const clock = { now: () => Date.parse('2026-11-23T02:00:00.000Z') };
  const service = await startService({ operations: fakeOperations(clock) });
  try {
    const answer = await fetch(`${service.url}/metrics`, {
      headers: { authorization: `Bearer ${service.owner}` },
    });
    const text = await answer.text();
    expect(text).toContain('factory_backup_age_seconds');
    expect(promtool(['check', 'metrics'], text)).toBe('');
  } finally {
    await service.close();
  }
});
