import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { blocksOf, runScript } from '../helpers/runbook.ts';
import { factoryJson, newPlace, ROOT } from './service.ts';
import type { Place } from './service.ts';

/** Another application's database, by the page of the docs and beyond it. */

const APP = fileURLToPath(new URL('fixtures/notes-app.ts', import.meta.url));
const HEALTH = 'http://127.0.0.1:{port}/health';

interface Drill {
  outcome: string;
  checks: { name: string; status: string; detail: string }[];
  evidence: { network: string; subject: string; installation: string | null };
  rpoSeconds: number;
}

let place: Place;
const drill = (boot: string, ...args: string[]) =>
  factoryJson<Drill>(place, 'drill', '--name', 'notes', '--boot', boot, ...args);

beforeAll(async () => {
  place = newPlace();
  const tmp = join(place.dir, 't');
  mkdirSync(tmp);
  place.env['TMPDIR'] = tmp;
  const notes = join(place.dir, 'notes');
  writeFileSync(
    notes,
    `#!/bin/sh\nexec '${process.execPath}' --disable-warning=ExperimentalWarning '${APP}' "$@"\n`,
  );
  chmodSync(notes, 0o755);
  const added = await runScript('./notes --db notes.db --add first', { dir: place.dir, env: {} });
  expect(added.code).toBe(0);
});

/** What stands in the page where a reader has folders of his own. */
const asHere = (script: string) =>
  script.replaceAll('/srv/build-factory', ROOT.replace(/\/$/, '')).replaceAll('/srv/notes', place.dir);

it('is backed up, drilled, observed and restored as the page says, in one shell and by cron', async () => {
  const page = readFileSync(join(ROOT, 'docs/other-applications.md'), 'utf8');
  expect(page).not.toContain('npx');
  const blocks = blocksOf(page);
  expect(blocks.map(({ heading }) => heading.slice(0, 1))).toEqual(['B', '1', '1', '2', '3', '3', '4']);
  const typed = asHere(blocks.map(({ script }) => script).join(''));
  const ran = await runScript(typed, { dir: place.dir, env: place.env });
  expect(ran.code, `${typed}${ran.stdout}${ran.stderr}`).toBe(0);
  const [where = '', ...lines] = (/```cron\n([^`]+)```/.exec(page)?.[1] ?? '').trim().split('\n');
  expect(lines.length).toBe(2);
  const cron = lines.map((line) => line.replace(/^(\S+\s+){5}/, ''));
  for (const line of cron) {
    const done = await runScript(asHere(`${where}\n${line}`), { dir: '/', env: place.env });
    expect(done.code, `${line}${done.stdout}${done.stderr}`).toBe(0);
  }
  const { stdout } = await runScript(
    `'${process.execPath}' -e "const {DatabaseSync} = require('node:sqlite');
     console.log(new DatabaseSync('restored.db').prepare('select text from note').get().text)"`,
    { dir: place.dir, env: {} },
  );
  expect(stdout).toBe('first\n');
});

it('is looked after in a folder where the doctor asks for no service', async () => {
  const { answer, code } = await factoryJson<{ checks: { name: string; status: string; detail: string }[] }>(
    place,
    'doctor',
  );
  const names = answer.checks.map(({ name }) => name);
  expect(names).not.toContain('address');
  expect(names).not.toContain('work items');
  expect(answer.checks.find(({ name }) => name === 'service')?.detail).toContain('backups of notes');
  expect(answer.checks.filter(({ status }) => status === 'fail')).toEqual([]);
  expect([0, 3]).toContain(code);
});

describe('a drill of it', () => {
  const reasonOf = ({ checks }: Drill) => checks.find(({ status }) => status === 'fail')?.detail;

  it('names no installation, and is older by its age', async () => {
    const { code, answer } = await drill('./notes --db {db} --port $PORT', '--check', HEALTH);
    expect({ code, outcome: answer.outcome }).toEqual({ code: 0, outcome: 'pass' });
    expect(answer.evidence).toMatchObject({ subject: 'notes', installation: null });
    expect(answer.rpoSeconds).toBeGreaterThan(0);
  });

  it('fails with the last words of what did not start', async () => {
    const { code, answer } = await drill('echo "no such table: note" >&2; exit 7', '--check', HEALTH);
    expect({ code, outcome: answer.outcome }).toEqual({ code: 1, outcome: 'fail' });
    expect(reasonOf(answer)).toMatch(/exit 7.*no such table: note/);
  });

  it('fails where it answers, and not with 2xx, until it ends', async () => {
    const boot = './notes --db {db} --port {port} --sick & sleep 4; kill $!';
    const { code, answer } = await drill(boot, '--check', HEALTH);
    expect({ code, outcome: answer.outcome }).toEqual({ code: 1, outcome: 'fail' });
    expect(reasonOf(answer)).toContain('status 500');
  });

  it('lets it reach nothing where the system can see to that', async () => {
    const reached: string[] = [];
    const server = createServer((req, res) => {
      reached.push(req.url ?? '');
      res.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const call = `'${process.execPath}' -e "fetch('http://127.0.0.1:${port}/out').catch(() => {})"`;
    const { answer } = await drill(`${call}; ./notes --db {db} --port {port}`, '--check', HEALTH);
    server.close();
    expect(answer.outcome).toBe('pass');
    expect(reached).toEqual(answer.evidence.network === 'enforced' ? [] : ['/out']);
  });

  it.each([
    [['--name', 'notes'], 'all three'],
    [['--name', 'notes', '--boot', 'true', '--check', 'nowhere'], '--check'],
    [['--name', 'notes', '--boot', './notes {dbb}', '--check', HEALTH], '{dbb}'],
    [['--name', 'notes', '--boot', 'true', '--check', 'http://127.0.0.1:{port}/{path}'], '{path}'],
    [['--name', 'notes', '--boot', 'true', '--check', HEALTH, '--file', '../x'], '--file'],
    [['--max-age', 'soon'], '--max-age'],
    [['--trust', 'x'], '--trust'],
  ])('that is asked for wrongly does nothing: %s', async (args, named) => {
    const { code, answer } = await factoryJson<{ error: { message: string } }>(place, 'drill', ...args);
    expect(code).toBe(2);
    expect(answer.error.message).toContain(named);
  });
});
