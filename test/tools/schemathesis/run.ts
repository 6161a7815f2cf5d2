import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { factoryJson, newPlace, ROOT, serve } from '../../process/service.ts';

/**
 * Judges the running service by its own contract with schemathesis, an independent tool. Prints
 * `schemathesis: N passed, N failed` and ends with 1 unless everything passed. The tool is installed outside the
 * checkout, below `$FACTORY_TOOLS`, by default `~/.cache/build-factory`.
 */

const VERSION = '4.32.0';
const HERE = import.meta.dirname;
/** Examples of each operation and phase. */
const EXAMPLES = process.env['SCHEMATHESIS_EXAMPLES'] ?? '100';

function install(): string {
  const tools = process.env['FACTORY_TOOLS'] ?? join(homedir(), '.cache', 'build-factory');
  const folder = join(tools, `venv-schemathesis-${VERSION}`);
  const program = join(folder, 'bin', 'schemathesis');
  if (existsSync(program)) return program;
  mkdirSync(tools, { recursive: true });
  must('python3', ['-m', 'venv', folder], 'Install it: apt-get install python3-venv');
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `schemathesis==${VERSION}`];
  must(join(folder, 'bin', 'python'), pip, 'It comes from PyPI, which has to be reachable.', folder);
  return program;
}

/** Runs to success; a half-made folder would pass for a whole one the next time. */
function must(program: string, args: string[], hint: string, made?: string): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return;
  if (made) rmSync(made, { recursive: true, force: true });
  throw new Error(`${program} ${args.join(' ')} failed. ${hint}\n${error?.message ?? stderr}`);
}

interface Judged {
  passed: number;
  failed: number;
}

/** Cases of the JUnit report, one an operation and phase. */
function read(report: string): Judged {
  const text = existsSync(report) ? readFileSync(report, 'utf8') : '';
  const cases = text.match(/<testcase\b/g)?.length ?? 0;
  const failed = text.match(/<testcase\b(?:(?!<\/testcase>)[\s\S])*?<(?:failure|error)\b/g)?.length ?? 0;
  return { passed: cases - failed, failed };
}

/** One recorded history of this repository's own queue, for the operations that show what only an action makes. */
async function recordHistory(url: string, token: string): Promise<Record<string, string>> {
  const item = 'wi-BF-106';
  const answer = await fetch(`${url}/api/control-plane/items/${item}/actions/record-history`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  if (answer.status !== 200)
    throw new Error(`record-history answered ${answer.status}: ${await answer.text()}`);
  const result = (await answer.json()) as { decisionId: string; item: { history: { latest: string } } };
  return {
    JUDGED_ITEM: item,
    JUDGED_DECISION: result.decisionId,
    JUDGED_SNAPSHOT: result.item.history.latest,
  };
}

/** One run of a job, for the operation that shows one. */
async function startRun(url: string, token: string): Promise<Record<string, string>> {
  const post = async (path: string, body?: unknown): Promise<Record<string, string>> => {
    const answer = await fetch(`${url}/api/operations/jobs/verify/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Record<string, string>;
  };
  const { digest } = await post('plan');
  const { runId = '' } = await post('runs', { digest });
  return { JUDGED_RUN: runId };
}

/** A session with a message, for the operations that show and delete one, and the erasure of a subject. */
async function writeMessage(url: string, token: string): Promise<Record<string, string>> {
  const post = async (path: string, body: unknown): Promise<{ id: string }> => {
    const answer = await fetch(`${url}/api${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as { id: string };
  };
  const session = await post('/sessions', { title: 'Judged' });
  const parts = [{ type: 'text', text: 'Judged.' }];
  const message = await post(`/sessions/${session.id}/messages`, { role: 'user', parts });
  await post('/sessions', { subjectId: 'Judged subject' });
  const erased = await post('/governance/erasures', { subjectId: 'Judged subject', reason: 'Judged' });
  const plan = await post('/governance/retention-plans', {});
  const { id: sessionId } = await post('/sessions', { title: 'Granted' });
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const grant = await post('/governance/grants', {
    ...{ kind: 'session', sessionId, grantee: 'team', reason: 'Judged', expiresAt },
  });
  return {
    JUDGED_SESSION: session.id,
    JUDGED_PLAN: plan.id,
    JUDGED_MESSAGE: message.id,
    JUDGED_ERASURE: erased.id,
    JUDGED_GRANT: grant.id,
  };
}

/** A session in whose class secrets wait: what is shown and read stays, the other is decided on. */
async function holdBack(url: string, token: string): Promise<Record<string, string>> {
  const ask = async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${url}/api${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Record<string, unknown>;
  };
  const { general, classes } = await ask('GET', '/governance/policies');
  const { general: usual = {} } = classes as Record<string, { sensitive?: object }>;
  const held = { ...usual, sensitive: { ...usual.sensitive, secrets: 'quarantine' } };
  await ask('PUT', '/governance/policies', { general, classes: { ...(classes as object), held } });
  const { id } = await ask('POST', '/sessions', { title: 'Held back', class: 'held' });
  const text = 'password=S3cr3t!horse9';
  const hold = async (): Promise<string> => {
    const message = { role: 'user', parts: [{ type: 'text', text }] };
    return String((await ask('POST', `/sessions/${String(id)}/messages`, message))['quarantineId']);
  };
  const file = await ask('POST', `/sessions/${String(id)}/attachments`, text);
  return {
    JUDGED_QUARANTINED: await hold(),
    JUDGED_DECIDED: await hold(),
    JUDGED_FILE: String(file['quarantineId']),
  };
}

/** What a run of the judge takes: its configuration, which operations, and where to look for what it names. */
interface Round {
  name: string;
  only?: string;
  env: NodeJS.ProcessEnv;
}

async function judge(
  program: string,
  { url, token, folder }: { url: string; token: string; folder: string },
  { name, only, env }: Round,
): Promise<Judged & { code: number }> {
  const report = join(folder, `${name}.xml`);
  const args = [
    ...['--config-file', join(HERE, `${name}.toml`), 'run', `${url}/api/openapi.json`],
    ...['--header', `Authorization: Bearer ${token}`, '--seed', '7', '--continue-on-failure', '-n', EXAMPLES],
    ...['--no-color', '--report', 'junit', '--report-junit-path', report],
    // One operation alone has nothing that it could lead to.
    ...(only === undefined ? [] : ['--include-operation-id', only, '--phases', 'examples,coverage,fuzzing']),
  ];
  const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 1)));
  return { ...read(report), code };
}

/** Everything, and then policies alone, because those that are made up change what everything else answers. */
async function rounds(url: string, token: string): Promise<Round[]> {
  const made = [recordHistory, startRun, writeMessage, holdBack].map((make) => make(url, token));
  const env = Object.assign({ ...process.env }, ...(await Promise.all(made))) as NodeJS.ProcessEnv;
  return [
    { name: 'config', env },
    { name: 'policies', only: 'putPolicies', env },
  ];
}

const program = install();
const folder = mkdtempSync(join(tmpdir(), 'factory-schemathesis-'));
const place = newPlace({ below: folder });
cpSync(join(ROOT, 'work-items'), place.queue, { recursive: true });
const service = await serve(place);
try {
  const { answer } = await factoryJson<{ token: string }>(
    place,
    'token',
    'create',
    '--name',
    'judge',
    '--role',
    'owner',
  );
  const { token } = answer;
  const judged: (Judged & { code: number })[] = [];
  for (const round of await rounds(service.url, token))
    judged.push(await judge(program, { url: service.url, token, folder }, round));
  const sum = (of: 'passed' | 'failed') => judged.reduce((all, one) => all + one[of], 0);
  const isClean = judged.every(({ code, passed }) => code === 0 && passed > 0);
  // A warning or a run that could not be done has no case of its own.
  const failed = !isClean && sum('failed') === 0 ? 1 : sum('failed');
  process.stdout.write(`schemathesis: ${sum('passed')} passed, ${failed} failed\n`);
  process.exitCode = isClean ? 0 : 1;
} finally {
  await service.stop();
  rmSync(folder, { recursive: true, force: true });
}
