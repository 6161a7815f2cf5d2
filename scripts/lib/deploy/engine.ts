import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import { bytesOf } from '../release/manifest.ts';
import type { Manifest, ReleaseFile } from '../release/manifest.ts';
import { sizeText } from '../size.ts';
import { heldLast } from './rules/history.ts';
import { preflightRefusal } from './rules/preflight.ts';
import { prunable } from './rules/retention.ts';
import { cannotRead, closesTheWayBack } from './rules/schema.ts';
import { GATES } from './rules/gates.ts';
import type { GateLimits } from './rules/gates.ts';
import { WATCH } from './rules/watch.ts';
import type { WatchLimits } from './rules/watch.ts';
import { assertEnvironment, beginRun, refuse } from './run.ts';
import type { Begin, Run } from './run.ts';
import { passGates, startSlot, watchLive } from './slots.ts';
import type { DeployRecord } from '../../../service/jobs/deploy-history.ts';
import type { DeployHost, Installed, Upload } from './types.ts';

/** Deploys and rollbacks, step by step, on whatever host. */

export interface Limits {
  gates: GateLimits;
  watch: WatchLimits;
  reserveBytes?: number;
}
export const LIMITS: Limits = { gates: GATES, watch: WATCH };

export interface Asked extends Omit<Begin, 'kind' | 'release'> {
  limits: Limits;
  say: (line: string) => void;
}

/** Where a release comes from: what it is, which of its files the host lacks, and these files. */
export interface Source {
  manifest: Manifest;
  missing(): Promise<ReleaseFile[]>;
  receive(): Promise<Upload>;
}

/** New requests go to the new slot; those under way in the old one end by themselves in this time, at the least. */
const SETTLE_MS = 300;

/**
 * Puts a release in place without a request lost, or leaves everything as it was. Killed anywhere, the same call goes on.
 * `noWayBack`: why a migration may close the way back; null: it may not. Errors: those of the steps, each written down.
 */
export async function deploy(
  host: DeployHost,
  source: Source,
  asked: Asked & { noWayBack: string | null },
): Promise<DeployRecord> {
  const { manifest } = source;
  const { release } = manifest;
  const run = await beginRun(host, { kind: 'deploy', release, ...asked }, asked.say);
  return settled(run, async () => {
    await run.step('preflight', () => preflight(host, source, asked));
    if (await isDone(run)) {
      asked.say(`  ${release} is live already.`);
      return 'unchanged';
    }
    await run.step('upload', async () => uploadText(await source.receive(), manifest));
    await run.step('unpack', async () => {
      await host.unpack(manifest);
      return `${manifest.files.length} files, each as its digest says`;
    });
    await run.step('migrate', () => migrate(host, manifest, asked));
    return goLive(run, release, asked.limits);
  });
}

/** Goes back to a release that is on the host. `to` null: the one before. Errors: `release-unknown`, `schema-too-new`. */
export async function rollback(host: DeployHost, to: string | null, asked: Asked): Promise<DeployRecord> {
  await assertEnvironment(host, asked.environment);
  const target = rollbackTarget(await host.facts(), to);
  const { release } = target;
  const run = await beginRun(host, { kind: 'rollback', release, ...asked }, asked.say);
  return settled(run, async () => {
    await run.step('preflight', async () => {
      // The one that is live may be too broken to say anything.
      const why = cannotRead(target, await host.database(release));
      if (why !== null) throw schemaTooNew(release, why);
      return `from ${(await host.facts()).live ?? 'nothing'} to ${release}`;
    });
    return goLive(run, release, asked.limits);
  });
}

/** Which release a rollback goes to. Errors: `release-unknown`. */
export function rollbackTarget(
  { installed, previous }: { installed: Installed[]; previous: string | null },
  to: string | null,
): Installed {
  const wanted = to ?? previous;
  const found = installed.find(({ release }) => release === wanted);
  if (found !== undefined) return found;
  const known = installed.map(({ release }) => release).join(', ');
  throw new FactoryError({
    ...{ code: 'release-unknown', op: 'roll back', target: wanted ?? undefined },
    message: wanted === null ? 'There is no release before this one.' : `${wanted} is not on this host.`,
    hint:
      known === ''
        ? 'Deploy one first.'
        : `There are ${known}; name one with --to, or deploy its archive again.`,
  });
}

/** The release is live, runs, and was watched to the end. */
async function isDone({ host, record }: Run): Promise<boolean> {
  const { release, id } = record;
  if ((await host.facts()).live !== release || (await host.ended(release)) !== null) return false;
  const others = (await host.history()).filter((one) => one.id !== id);
  return heldLast(others, release);
}

/** From a release on the disk to one that is live and held; the way back is taken where it turns bad. */
async function goLive(run: Run, release: string, { gates, watch }: Limits): Promise<DeployRecord['outcome']> {
  const { host, record } = run;
  const facts = await host.facts();
  let live = facts.live === release;
  // A run that goes on after a kill: what `previous` names is what was live before.
  const before = live ? facts.previous : facts.live;
  try {
    await run.step('start', () => startSlot(host, release, gates));
    await run.step('gates', () => passGates(host, release, gates));
    await run.step('switch', async () => {
      await host.switchTo(release, { token: record.token, previous: before });
      live = true;
      return before === null ? `${release} is live` : `${release} is live, ${before} is the way back`;
    });
  } catch (error) {
    // What never became live takes no memory, and keeps no file of the database open.
    if (!live) await host.stop(release).catch(() => undefined);
    throw error;
  }
  await run.step('watch', async () => {
    const way = await wayBack(host, release, before);
    const { bad, asked } = await watchLive(host, release, watch);
    if (bad === null) return `${asked} answers in ${watch.ms / 1000} s, none of them a reason to go back`;
    const previous = facts.previous === before || facts.previous === release ? null : facts.previous;
    throw await goBack(run, { release, bad, way, gates, previous });
  });
  await run.step('drain', () => drain(host, release));
  await run.step('keep', () => keep(host, release));
  return 'ok';
}

/** The release before, or why nothing leads back to it: found out before it is needed, because it takes a while. */
type WayBack = { release: string } | { none: string };

async function wayBack(host: DeployHost, release: string, before: string | null): Promise<WayBack> {
  const found = (await host.facts()).installed.find((one) => one.release === before && before !== release);
  if (found === undefined) return { none: 'there is no release before it' };
  const why = cannotRead(found, await host.database(found.release));
  return why === null ? { release: found.release } : { none: why };
}

interface Bad {
  release: string;
  bad: string;
  way: WayBack;
  gates: GateLimits;
  /** What was the way back of the release before. */
  previous: string | null;
}

/** The way back: one rename, and its slot still runs. Answers what there is to say. */
async function goBack(
  { host, record }: Run,
  { release, bad, way, gates, previous }: Bad,
): Promise<FactoryError> {
  if ('none' in way)
    return turnedBadError(release, bad, `it stays live, because there is no way back: ${way.none}`);
  if ((await host.ended(way.release)) !== null) await startSlot(host, way.release, gates);
  await host.switchTo(way.release, { token: record.token, previous });
  record.outcome = 'rolled-back';
  await host.sleep(SETTLE_MS);
  await host.stop(release);
  return turnedBadError(release, bad, `${way.release} is live again`);
}

async function preflight(
  host: DeployHost,
  { manifest, missing }: Source,
  { environment, limits }: Asked,
): Promise<string> {
  const facts = await host.facts();
  const needed = bytesOf(await missing());
  refuse(preflightRefusal(facts, { wanted: environment, needed, ...reserveOf(limits) }));
  return `${environment}, live is ${facts.live ?? 'nothing yet'}, ${sizeText(facts.freeBytes)} free for ${manifest.release}`;
}

const reserveOf = ({ reserveBytes }: Limits): { reserve?: number } =>
  reserveBytes === undefined ? {} : { reserve: reserveBytes };

const uploadText = ({ files, bytes }: Upload, { files: all }: Manifest): string =>
  files === 0
    ? `nothing: all ${all.length} files are there`
    : `${files} of ${all.length} files, ${sizeText(bytes)}`;

/** A release that cannot read the database is refused; else a copy, and the release's own migration. */
async function migrate(
  host: DeployHost,
  { release, schema }: Manifest,
  { environment, limits, noWayBack }: Asked & { noWayBack: string | null },
): Promise<string> {
  const plan = await host.database(release);
  const unreadable = cannotRead({ release, schema }, plan);
  if (unreadable !== null) throw schemaTooNew(release, unreadable);
  if (plan.from >= plan.to) return `the database has schema ${plan.from}, nothing to do`;
  const { live, installed, ...facts } = await host.facts();
  const closed = closesTheWayBack(plan, installed.find((one) => one.release === live) ?? null);
  if (closed !== null && noWayBack === null) throw noWayBackError(release, closed);
  refuse(preflightRefusal(facts, { wanted: environment, needed: plan.bytes, ...reserveOf(limits) }));
  const { snapshot } = await host.migrate(release);
  const copy = snapshot === null ? '' : `, the one of before is ${snapshot}`;
  return `schema ${plan.from} to ${plan.to}${copy}${closed === null ? '' : `; no way back: ${noWayBack}`}`;
}

/** Ends every slot that is not live: they take no new requests, and end those under way. */
async function drain(host: DeployHost, release: string): Promise<string> {
  const { running } = await host.facts();
  const others = running.filter((one) => one !== release);
  if (others.length === 0) return 'no other slot runs';
  await host.sleep(SETTLE_MS);
  for (const one of others) await host.stop(one);
  return `${others.join(', ')} ended`;
}

async function keep(host: DeployHost, release: string): Promise<string> {
  await host.moveDeployer(release);
  const gone = prunable(await host.facts());
  const freed = await host.remove(gone);
  return gone.length === 0 ? 'nothing is old enough to go' : `${gone.join(', ')} removed, ${sizeText(freed)}`;
}

/** Writes the end down, whatever it is. */
async function settled(run: Run, work: () => Promise<DeployRecord['outcome']>): Promise<DeployRecord> {
  try {
    return await run.end(await work());
  } catch (thrown) {
    const error = asFactoryError(thrown, run.record.kind);
    await run.end(run.record.outcome ?? 'failed', error.message).catch(() => undefined);
    const { code, op, message, hint, retryable, details } = error;
    const target = error.target ?? undefined;
    throw new FactoryError({
      ...{ code, op, target, message, hint, retryable, cause: thrown },
      details: { ...details, deploy: run.record },
    });
  }
}

function schemaTooNew(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'schema-too-new', op: 'choose release', target, message: `${why}.` },
    hint: 'Deploy a newer release. Back to the state of before leads only a restore: `npx factory restore --plan --in-place`.',
  });
}

function noWayBackError(target: string, why: string): FactoryError {
  return new FactoryError({
    ...{ code: 'no-way-back', op: 'migrate database', target },
    message: `There would be no way back: ${why}.`,
    hint: 'Deploy a release that does without first. Where that has been thought over, say why: --no-way-back REASON.',
  });
}

function turnedBadError(target: string, bad: string, what: string): FactoryError {
  return new FactoryError({
    ...{ code: 'deploy-rolled-back', op: 'watch release', target },
    message: `${target} turned bad after the switch (${bad}); ${what}.`,
    hint: 'Read its log on the host, mend it, and deploy the new release.',
  });
}
