import { asFactoryError, FactoryError } from '../../../service/errors.ts';
import { newId } from '../../../service/ids.ts';
import { HEARTBEAT_MS } from './rules/lock.ts';
import type { DeployRecord, StepName } from '../../../service/jobs/deploy-history.ts';
import { preflightRefusal } from './rules/preflight.ts';
import type { Refusal } from './rules/preflight.ts';
import type { DeployHost } from './types.ts';

/** What one run on a host needs around its steps: the lock, the lines that people read, the record. */

export interface Begin {
  kind: DeployRecord['kind'];
  environment: string;
  release: string;
  by: string;
  steal: string | null;
}

export interface Run {
  host: DeployHost;
  record: DeployRecord;
  /** Does a step and prints it with its time. `detail`: what it came to. Errors: the step's own, and `lock-lost`. */
  step(name: StepName, work: () => Promise<string>): Promise<void>;
  /** Writes the end down and gives the lock back. */
  end(outcome: DeployRecord['outcome'], reason?: string | null): Promise<DeployRecord>;
}

/** Takes the lock and writes down that a run begins. Errors: `environment-missing`, `environment-mixed`, `deploy-running`. */
export async function beginRun(host: DeployHost, begin: Begin, say: (line: string) => void): Promise<Run> {
  const { kind, environment, release, by, steal } = begin;
  await assertEnvironment(host, environment);
  const { token, stolen } = await host.claim({ owner: by, release, steal });
  if (stolen !== undefined) say(`The lock was taken ${stolen}.`);
  const { live } = await host.facts();
  const record: DeployRecord = {
    ...{ id: newId(), kind, environment, release, from: live, by, token },
    ...{ startedAt: iso(host), endedAt: null, outcome: null, reason: null, steps: [] },
  };
  await host.record(record);
  let lost = false;
  const beat = setInterval(() => {
    host.renew(token).then(
      (held) => (lost ||= !held),
      // A disk that is full for a moment; the lease says for how long.
      () => undefined,
    );
  }, HEARTBEAT_MS);

  return {
    host,
    record,
    async step(name, work) {
      if (lost || !(await host.renew(token))) throw lockLost(release);
      const began = host.now();
      const tell = (status: 'done' | 'failed', detail: string): void => {
        const ms = Math.round(host.now() - began);
        record.steps.push({ name, status, ms, detail });
        const sign = status === 'done' ? ' ' : '!';
        say(`${sign} ${name.padEnd(9)} ${(ms / 1000).toFixed(1).padStart(6)} s  ${detail}`);
      };
      try {
        tell('done', await work());
      } catch (thrown) {
        const error = isFull(thrown) ? diskFull(release, thrown) : asFactoryError(thrown, name);
        tell('failed', error.message);
        throw error;
      }
    },
    async end(outcome, reason = null) {
      clearInterval(beat);
      Object.assign(record, { outcome, reason, endedAt: iso(host) });
      try {
        await host.record(record);
      } finally {
        await host.release(token);
      }
      return record;
    },
  };
}

const iso = (host: DeployHost): string => new Date(host.now()).toISOString();

const isFull = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOSPC';

function diskFull(target: string, cause: unknown): FactoryError {
  return new FactoryError({
    ...{ code: 'disk-full', op: 'deploy', target, cause },
    message: `The disk of the host is full: ${(cause as Error).message}.`,
    hint: 'Make room on the host, or give it a larger disk, then deploy again: what was stored is not sent again.',
  });
}

/**
 * Before anything is written: what is another environment's is not touched, not even its lock.
 * Errors: `environment-missing`, `environment-mixed`.
 */
export async function assertEnvironment(host: DeployHost, wanted: string): Promise<void> {
  refuse(preflightRefusal(await host.facts(), { wanted, needed: 0, reserve: 0 }));
}

export function refuse(refusal: Refusal | null): void {
  if (refusal !== null) throw new FactoryError({ op: 'look before deploy', ...refusal });
}

export function lockLost(target: string): FactoryError {
  return new FactoryError({
    ...{ code: 'lock-lost', op: 'deploy', target },
    message: 'Somebody else took the deploy lock meanwhile; this run stops and switches nothing.',
    hint: 'Look who deploys: the Operations page, or `npx factory deploy` with --plan. Then deploy again.',
  });
}
