import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { rememberStored } from '../../../scripts/lib/backup/stored.ts';
import { leaveMarks } from '../../../scripts/lib/epoch/leave-marks.ts';
import { parseConfig } from '../../../service/config.ts';
import { bumpEpoch } from '../../../service/epoch.ts';
import { emptyFolder } from '../cli.ts';

it('a mark is left in each destination, but for one that lost what was stored there', async () => {
  const cwd = emptyFolder();
  const [lost, fresh] = ['lost', 'fresh'].map((name) => join(cwd, name)) as [string, string];
  const urls = [lost, fresh].map((path) => pathToFileURL(path).href) as [string, string];
  mkdirSync(lost);
  const parsed = parseConfig({ FACTORY_BACKUP_DESTINATIONS: urls.join(' ') }, { cwd });
  if ('problems' in parsed) throw new Error(parsed.problems[0]?.message);
  const { config } = parsed;
  const folder = join(config.dataDir, 'backup/factory');
  mkdirSync(folder, { recursive: true });
  rememberStored(folder, urls.slice(0, 1), 'full/factory/20260501T000000Z-000001');
  bumpEpoch(config, { atLeast: 0, since: 2, at: '2026-05-01T00:00:00.000Z', why: 'restore' });
  const marks = await leaveMarks(config, {});
  expect(marks.map(({ url, error }) => [url, error?.code])).toEqual([
    [urls[0], 'destination-emptied'],
    [urls[1], undefined],
  ]);
  expect([readdirSync(lost), readdirSync(join(fresh, 'full/factory'))]).toEqual([
    [],
    [expect.stringMatching(/^epoch-/)],
  ]);
});
