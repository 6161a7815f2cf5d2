import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FactoryError } from '../../../service/errors.ts';
import { asRoot, speak } from './ssh.ts';
import type { SshTarget, Spoke } from './ssh.ts';
import { layoutOf } from './host/layout.ts';
import { openArchive } from '../release/read.ts';
import type { Manifest } from '../release/manifest.ts';
import { thinArchive } from '../release/thin.ts';
import { sizeText } from '../size.ts';
import type { VerbContext } from '../verb.ts';
import type { DeployPlan } from './answers.ts';

/** A deploy from another machine: what the host lacks is sent, and the host does the rest by itself. */

export interface Remote {
  target: SshTarget;
  environment: string;
  context: Pick<VerbContext, 'env' | 'say'>;
}

/** Of a release from before, or one that is set up first: `factory-<env>` on the host runs it. */
const commandOf = (environment: string): string => `/usr/local/sbin/factory-${environment}`;

/** Runs a verb on the host and answers its document. Errors: those of the verb over there, and of ssh. */
export async function onHost<T>(
  { target, environment, context }: Remote,
  words: readonly string[],
  input?: string,
): Promise<T> {
  const command = asRoot(target.host, [
    commandOf(environment),
    ...words,
    '--local',
    '--env',
    environment,
    '--json',
  ]);
  let over = false;
  const spoke = await speak(target, command, {
    ...(input === undefined ? {} : { input: createReadStream(input) }),
    env: { ...context.env },
    hear(line) {
      // What went wrong comes as a document, too.
      over ||= line.startsWith('factory ');
      if (!over) context.say(line);
    },
  });
  return documentOf<T>(target, spoke);
}

function documentOf<T>({ host }: SshTarget, { code, stdout, stderr }: Spoke): T {
  let found: unknown;
  try {
    found = JSON.parse(stdout);
  } catch (cause) {
    const said = stderr.trim().split('\n').slice(-3).join(' ');
    throw new FactoryError({
      ...{ code: 'host-failed', op: 'run on host', target: host, cause },
      message: `The command on ${host} ended with ${code} and no answer: ${said === '' ? 'it said nothing' : said}`,
      hint: 'Look whether the host is set up (`npx factory host apply`) and its release is not older than this client.',
    });
  }
  const { error } = found as {
    error?: {
      code: string;
      op: string;
      target: string | null;
      message: string;
      hint: string;
      retryable: boolean;
    };
  };
  if (error === undefined) return found as T;
  const { code: known, op, message, hint, retryable, target, ...details } = error;
  throw new FactoryError({ code: known, op, target: target ?? host, message, hint, retryable, details });
}

/** Sends what the host lacks of the archive. `options`: what else was typed. */
export async function deployThere<T>(
  remote: Remote,
  archive: string,
  { plan, options }: { plan: boolean; options: readonly string[] },
): Promise<T> {
  const work = mkdtempSync(join(tmpdir(), 'factory-deploy-'));
  try {
    const { manifest } = await openArchive(createReadStream(archive), archive);
    await prepare(remote, archive, manifest, plan);
    const outline = join(work, 'outline.tgz');
    await thinArchive(archive, outline, new Set());
    const found = await onHost<DeployPlan>(remote, ['deploy', '--plan', '--release', '-'], outline);
    if (plan) return found as T;
    const part = join(work, 'part.tgz');
    const { bytes } = await thinArchive(archive, part, new Set(found.missing));
    remote.context.say(
      `  send      ${sizeText(bytes)} to ${remote.target.host}: ${found.missing.length} files that it lacks`,
    );
    return await onHost<T>(remote, ['deploy', '--release', '-', ...options], part);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * A host without a release has nothing that could deploy one: it gets the whole archive, unpacked with its own tools, as the
 * first deployer. Errors: `environment-missing`, `deploy-first`.
 */
async function prepare(remote: Remote, archive: string, manifest: Manifest, plan: boolean): Promise<void> {
  const { target, environment, context } = remote;
  const { base, deployer, current } = layoutOf(environment);
  const env = { ...context.env };
  const question = `test -d ${base} || { echo missing; exit 0; }; test -e ${deployer} || test -e ${current} || { echo empty; exit 0; }; echo ready`;
  const { stdout } = await speak(target, asRoot(target.host, ['sh', '-c', question]), { env });
  const state = stdout.trim();
  if (state === 'ready') return;
  if (state !== 'empty') throw environmentMissing(target.host, environment);
  if (plan) throw nothingThere(target.host, environment);
  context.say(`  first     ${target.host} has no release yet: it gets all of ${manifest.release}`);
  const folder = `${base}/releases/${manifest.release}`;
  const script = [
    `set -e; umask 022; mkdir -p ${base}/releases ${base}/store; test -d ${folder} && { cat >/dev/null; } || {`,
    `rm -rf ${folder}.partial; mkdir ${folder}.partial; tar -xzf - --no-same-owner -C ${folder}.partial;`,
    `mv -T ${folder}.partial ${folder}; }; ln -sfn releases/${manifest.release} ${deployer}`,
  ].join(' ');
  const command = asRoot(target.host, ['sh', '-c', script]);
  const { code, stderr } = await speak(target, command, { input: createReadStream(archive), env });
  if (code !== 0) throw firstFailed(target.host, stderr);
}

function environmentMissing(target: string, environment: string): FactoryError {
  return new FactoryError({
    ...{ code: 'environment-missing', op: 'look before deploy', target },
    message: `${target} has no environment ${environment}.`,
    hint: 'Name the host that has it, or set it up: `npx factory host apply`. Nothing was changed.',
  });
}

function nothingThere(target: string, environment: string): FactoryError {
  return new FactoryError({
    ...{ code: 'deploy-first', op: 'plan deploy', target },
    message: `Nothing is deployed to ${environment} on ${target} yet, so there is nothing that could plan it.`,
    hint: 'Leave --plan out: the first deploy sends the whole release.',
  });
}

function firstFailed(target: string, stderr: string): FactoryError {
  const full = /no space left/i.test(stderr);
  return new FactoryError({
    ...{ code: full ? 'disk-full' : 'host-failed', op: 'send first release', target },
    message: `The first release could not be unpacked on ${target}: ${stderr.trim().split('\n').slice(-2).join(' ')}`,
    hint: full
      ? 'Make room on the host, then deploy again.'
      : 'Look at the host, then deploy again: it begins anew.',
  });
}
