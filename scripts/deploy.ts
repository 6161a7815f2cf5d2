import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CLONE } from './lib/command.ts';
import { planAnswer, planOf, recordAnswer } from './lib/deploy/answers.ts';
import type { DeployPlan } from './lib/deploy/answers.ts';
import { askedOf, localHost, placeOf } from './lib/deploy/asked.ts';
import * as engine from './lib/deploy/engine.ts';
import { deployThere, onHost } from './lib/deploy/remote.ts';
import { archiveSource } from './lib/deploy/source.ts';
import type { DeployRecord } from '../service/jobs/deploy-history.ts';
import type { Lock } from './lib/deploy/types.ts';
import { usage } from './lib/failure.ts';
import { buildRelease } from './lib/release/build.ts';
import type { Given, Run, VerbContext } from './lib/verb.ts';

/** Puts a release in place: on this machine, or on another one, which then does the same. */
export const deploy: Run = async (context, given) => {
  const place = placeOf('deploy', given);
  const asked = askedOf('deploy', context, given);
  const plan = given.flag('plan');
  if (!place.local) {
    const remote = { target: place.target, environment: asked.environment, context };
    const options = forwarded(given, { by: asked.by });
    const answer = await deployThere(remote, await archiveOf(context, given), { plan, options });
    return plan ? planAnswer(answer as DeployPlan) : recordAnswer(answer as DeployRecord);
  }
  goOnUnheard(context);
  const { layout, host } = localHost(asked.environment, given);
  const file = given.text('release');
  if (file === undefined)
    throw usage('deploy', 'With --local name the archive: --release FILE, or - for standard input.');
  const input = file === '-' ? process.stdin : createReadStream(resolve(context.cwd, file));
  const source = await archiveSource(layout, input, file === '-' ? 'on standard input' : file);
  if (plan) {
    const lock = existsSync(layout.lock) ? (JSON.parse(readFileSync(layout.lock, 'utf8')) as Lock) : null;
    return planAnswer(await planOf(host, source, { environment: asked.environment, lock }));
  }
  const noWayBack = given.text('noWayBack') ?? null;
  return recordAnswer(await engine.deploy(host, source, { ...asked, noWayBack }));
};

/** Back to the release before, or to one that is named. */
export const rollback: Run = async (context, given) => {
  const place = placeOf('rollback', given);
  const asked = askedOf('rollback', context, given);
  const to = given.text('to') ?? null;
  if (place.local) {
    goOnUnheard(context);
    const { host } = localHost(asked.environment, given);
    return recordAnswer(await engine.rollback(host, to, asked));
  }
  const remote = { target: place.target, environment: asked.environment, context };
  return recordAnswer(
    await onHost<DeployRecord>(remote, ['rollback', ...forwarded(given, { by: asked.by })]),
  );
};

/** Whoever listened may be gone, as with a connection that broke: the deploy goes on, and its record says how it ended. */
function goOnUnheard({ stderr }: VerbContext): void {
  stderr.on('error', () => undefined);
}

/** The archive that was named, or one of this clone. */
async function archiveOf({ cwd, progress, say }: VerbContext, given: Given): Promise<string> {
  const file = given.text('release');
  if (file !== undefined) return resolve(cwd, file);
  const out = join(CLONE, '.tools', 'releases');
  const { path, manifest } = await buildRelease(CLONE, { out, dirty: false, progress });
  say(`  release   ${manifest.release}, built from this clone`);
  return path;
}

/** Options that count on the host. */
function forwarded(given: Given, { by }: { by: string }): string[] {
  const names = { steal: 'steal', noWayBack: 'no-way-back', watch: 'watch', to: 'to' };
  const typed = Object.entries(names).flatMap(([name, flag]) => {
    const value = given.text(name);
    return value === undefined ? [] : [`--${flag}`, value];
  });
  return ['--by', by, ...typed];
}
