import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from '../process/service.ts';
import { APP, NAMED, openBackupLab, wrongWith } from './backup-lab.ts';
import type { BackupLab, Listed } from './backup-lab.ts';
import type { Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * kill -9 at points that are spread over the whole life of `backup`, `backups prune --apply` and `restore`, for several
 * seeds. After each: all that is listed restores, a target is whole or not there, and the next run needs no hand.
 */

const POINTS = 50;
const KINDS = ['backup', 'prune', 'restore'] as const;
type KillKind = (typeof KINDS)[number];
const OLD_MS = 40 * 86_400_000;
/** So many verified full backups have to stay. */
const KEPT = 4;

interface State {
  lab: BackupLab;
  random: Random;
  failures: string[];
  figures: Record<string, number>;
  /** How long each kind takes when it is left alone, ms. */
  takes: Map<KillKind, number>;
  /** Backups that were restored once: objects are never changed. */
  restored: Set<string>;
}

/** `count` kills, fifty for each seed; two seeds at a time, for two cores. */
export async function backupKills({ count, random, below, say }: Run): Promise<Outcome> {
  const failures: string[] = [];
  const figures: Record<string, number> = { kills: 0, midway: 0 };
  const seeds = Array.from({ length: Math.ceil(count / POINTS) }, (_, n) => n);
  const worker = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      const lab = openBackupLab(below);
      const points = Math.min(POINTS, count - seed * POINTS);
      const of = random.fork(`seed ${seed}`);
      try {
        const state = { lab, random: of, failures, figures, takes: new Map(), restored: new Set<string>() };
        await killAtPoints(state, points);
      } finally {
        lab.close();
      }
      say(`seed ${seed}: ${figures.kills} kills so far, ${failures.length} failures`);
      for (const failure of failures.slice(-3)) say(failure);
    }
  };
  await Promise.all([worker(), worker()]);
  return { failures, figures };
}

async function killAtPoints(state: State, points: number): Promise<void> {
  const { lab, random, figures } = state;
  for (const kind of KINDS) {
    const started = performance.now();
    await ended(state, await argumentsOf(state, kind));
    state.takes.set(kind, performance.now() - started);
  }
  for (let point = 0; point < points; point += 1) {
    const kind = KINDS[point % KINDS.length] as KillKind;
    const args = await argumentsOf(state, kind);
    const at = ((point + random.next()) / points) * (state.takes.get(kind) ?? 0);
    const killed = await ended(state, args, at);
    figures.kills = (figures.kills ?? 0) + 1;
    if (killed) figures.midway = (figures.midway ?? 0) + 1;
    figures[kind] = (figures[kind] ?? 0) + 1;
    await judge(state, `${kind} killed after ${Math.round(at)} ms`, args);
    lab.change();
  }
  await finish(state);
}

/** Runs the command to its end, or kills it after `ms`; whether it was still running then. */
async function ended({ lab }: State, args: string[], ms?: number): Promise<boolean> {
  const child = launch(lab.place, args);
  const over = new Promise<boolean>((resolve) =>
    child.once('close', (_code, signal) => resolve(signal === 'SIGKILL')),
  );
  if (ms !== undefined) {
    await sleep(ms);
    child.kill('SIGKILL');
  }
  return over;
}

async function argumentsOf(state: State, kind: KillKind): Promise<string[]> {
  const { lab } = state;
  if (kind === 'backup') return ['backup', '--full', ...APP];
  await fillUp(state);
  if (kind === 'restore') return ['restore', ...NAMED, '--to', lab.target()];
  return ['backups', 'prune', ...NAMED, '--apply', await digestOfPlan(state)];
}

async function listed({ lab }: State): Promise<Listed> {
  return (await lab.run<Listed>('backups', 'list', ...NAMED)).answer;
}

/** Enough verified backups that one of them may go. */
async function fillUp(state: State): Promise<void> {
  const { lab } = state;
  const fulls = async (): Promise<number> =>
    (await listed(state)).backups.filter(({ kind }) => kind === 'full').length;
  while ((await fulls()) < KEPT) {
    lab.change();
    const { exit } = await lab.run('backup', '--full', ...APP);
    if (exit !== 0) state.failures.push(`a backup between kills ended with ${exit}`);
  }
  const { exit } = await lab.run('backups', 'verify', '--all', ...NAMED);
  if (exit !== 0) state.failures.push(`verify between kills ended with ${exit}`);
}

/** Makes the oldest backup old, and plans. */
async function digestOfPlan(state: State): Promise<string> {
  const { lab } = state;
  const { backups } = await listed(state);
  const oldest = backups.find(({ kind }) => kind === 'full');
  // A young differential would keep what it rests on.
  const differentials = backups.filter(({ kind }) => kind === 'differential');
  for (const { backupId } of [...differentials, ...(oldest ? [oldest] : [])]) makeOld(lab, backupId);
  const { answer } = await lab.run<{ plan: { delete: string[]; digest: string } }>(
    ...['backups', 'prune', ...NAMED],
  );
  if (answer.plan.delete.length === 0) state.failures.push('nothing was planned to go');
  return answer.plan.digest;
}

function makeOld({ place }: BackupLab, backupId: string): void {
  const folder = join(place.data, 'backups', dirname(backupId));
  const then = new Date(Date.now() - OLD_MS);
  for (const name of readdirSync(folder))
    if (name.startsWith(basename(backupId))) utimesSync(join(folder, name), then, then);
}

async function judge(state: State, what: string, args: string[]): Promise<void> {
  const { lab, failures } = state;
  const target = args[args.indexOf('--to') + 1] ?? '';
  if (args[0] === 'restore' && existsSync(target)) {
    const wrong = wrongWith(target);
    if (wrong !== null) failures.push(`${what}: a torn target: ${wrong}`);
  }
  const { backups, problems } = await listed(state);
  for (const { message } of problems) failures.push(`${what}: the catalog has a problem: ${message}`);
  for (const { backupId } of backups) await restoreOnce(state, what, backupId);
  if (args[0] === 'backup') {
    lab.change();
    const { exit } = await lab.run('backup', ...APP);
    if (exit !== 0) failures.push(`${what}: the next backup ended with ${exit}`);
  }
}

async function restoreOnce(
  { lab, failures, restored }: State,
  what: string,
  backupId: string,
): Promise<void> {
  if (restored.has(backupId)) return;
  restored.add(backupId);
  const to = lab.target();
  const { exit } = await lab.run('restore', ...NAMED, '--backup', backupId, '--to', to);
  const wrong = exit === 0 ? wrongWith(to) : `exit ${exit}`;
  if (wrong !== null) failures.push(`${what}: ${backupId} is listed and does not restore: ${wrong}`);
}

/** What was pruned halfway goes with the next plan, and all that is listed at last still restores. */
async function finish(state: State): Promise<void> {
  const { lab, failures } = state;
  await fillUp(state);
  const { exit } = await lab.run('backups', 'prune', ...NAMED, '--apply', await digestOfPlan(state));
  if (exit !== 0) failures.push(`the last prune ended with ${exit}`);
  state.restored.clear();
  const { backups } = await listed(state);
  for (const { backupId } of backups) await restoreOnce(state, 'at the end', backupId);
  const root = join(lab.place.data, 'backups/full/app');
  const stems = new Set(backups.map(({ backupId }) => basename(backupId)));
  const then = Date.now() - OLD_MS / 2;
  for (const name of readdirSync(root)) {
    const old = statSync(join(root, name)).mtimeMs < then;
    if (old && !stems.has(name.split('.')[0] ?? ''))
      failures.push(`${name} of a pruned backup stays for ever`);
  }
}
