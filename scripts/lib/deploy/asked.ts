import { hostname, userInfo } from 'node:os';
import { resolve } from 'node:path';
import { usage } from '../failure.ts';
import type { Given, VerbContext } from '../verb.ts';
import { LIMITS } from './engine.ts';
import type { Asked } from './engine.ts';
import { folderHost } from './host/folder-host.ts';
import { layoutOf } from './host/layout.ts';
import type { Layout } from './host/layout.ts';
import { processes } from './host/processes.ts';
import { systemd } from './host/systemd.ts';
import type { SshTarget } from './ssh.ts';
import type { DeployHost } from './types.ts';

/** What was typed behind `deploy` and `rollback`. */

/** `user@address`, or a name of the ssh configuration; never an option. */
const HOST = /^[A-Za-z0-9_][\w.@:[\]%-]*$/;
const BY = /^[\x20-\x7e]{1,100}$/;

/** Where the verb is to work: here, or over ssh. Errors: `usage`. */
export function placeOf(verb: string, given: Given): { local: true } | { local: false; target: SshTarget } {
  const host = given.text('host');
  if (given.flag('local') === (host !== undefined))
    throw usage(verb, 'Name the host with --host USER@ADDRESS, or say --local on the host itself.');
  if (host === undefined) return { local: true };
  if (!HOST.test(host)) throw usage(verb, `"${host}" is no USER@ADDRESS.`);
  const port = given.text('port') ?? null;
  if (port !== null && !/^\d{1,5}$/.test(port)) throw usage(verb, `"${port}" is no port.`);
  const knownHosts = given.text('knownHosts');
  const identity = given.text('identity');
  return {
    local: false,
    target: {
      ...{ host, port },
      knownHosts: knownHosts === undefined ? null : resolve(knownHosts),
      identity: identity === undefined ? null : resolve(identity),
    },
  };
}

/** What both verbs take. Errors: `usage`. */
export function askedOf(verb: string, { say }: Pick<VerbContext, 'say'>, given: Given): Asked {
  const seconds = given.text('watch');
  if (seconds !== undefined && !/^\d{1,4}$/.test(seconds))
    throw usage(verb, `--watch takes seconds, not "${seconds}".`);
  const by = given.text('by') ?? `${userInfo().username}@${hostname()}`;
  for (const name of ['by', 'steal', 'noWayBack'])
    if (!BY.test(given.text(name) ?? 'x'))
      throw usage(verb, 'A name or a reason is one line of up to 100 plain characters.');
  const watch = seconds === undefined ? LIMITS.watch : { ...LIMITS.watch, ms: Number(seconds) * 1000 };
  return {
    ...{ environment: given.text('env') ?? '', by, steal: given.text('steal') ?? null, say },
    limits: { ...LIMITS, watch },
  };
}

/** This machine as a host. */
export function localHost(environment: string, given: Given): { layout: Layout; host: DeployHost } {
  const layout = layoutOf(environment, given.text('root'));
  const supervisor = given.text('slots') === 'processes' ? processes(layout) : systemd(layout);
  return { layout, host: folderHost(layout, supervisor) };
}
