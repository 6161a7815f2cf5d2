import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import type { Config } from '../service/config.ts';
import type { Service } from '../service/main.ts';
import { factoryCommand, OWN_COMMAND } from './lib/command.ts';
import { askForFence, watchForFence } from './lib/epoch/fence-watch.ts';
import { sayMade } from './lib/backup/recovery-text.ts';
import { fields } from './lib/layout.ts';
import { noteListening } from './lib/listening.ts';
import { nameNeighbour, otherUsers } from './lib/neighbour.ts';
import { settleRestores } from './lib/restore/put-back.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, ExitCode, Run, VerbContext } from './lib/verb.ts';

/** A stop that takes longer is cut off; what was answered is on disk. */
const STOP_MS = 4500;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export const serve: Run = async (context) => {
  const config = readConfig(context);
  // Before the start: a signal that comes during it still leads to a graceful end.
  const signals = catchSignals(context);
  try {
    await settleRestores(config, context.say);
    const [{ startService }, unanswered] = await Promise.all([
      import('../service/main.ts'),
      askForFence(config, context.env),
    ]);
    const service = await startService(config, { command: OWN_COMMAND });
    const unwatch = watchForFence(config, context.env, unanswered);
    const forget = noteListening(config, service.listening.url);
    sayRecoveryKey(config, context);
    sayNeighbours(config, context);
    sayMove(config, service, context);
    sayQueue(config, service, context);
    const link = (await linkIsShown(config, service)) ? await service.context.people.loginLink() : null;
    return {
      ...ready(config, service, link, context.cwd),
      until: signals.first.then(() => {
        unwatch();
        forget();
        return close(service, context);
      }),
    };
  } catch (error) {
    signals.release();
    throw await nameNeighbour(error, config);
  }
};

function ready(
  config: Config,
  service: Service,
  link: { url: string; expiresAt: string } | null,
  cwd: string,
): Answer {
  const { context, listening } = service;
  const address =
    config.baseUrl ?? ('socket' in config.listen ? `unix:${config.listen.socket}` : listening.url);
  const text = fields([
    ['Open', address],
    ['Sign in', link ? link.url : `${factoryCommand(cwd)} login-link`],
    ...(link ? [['', `once, until ${link.expiresAt}`] satisfies [string, string]] : []),
    ['Data', config.dataDir],
    ['Database', context.storage.description],
    ['Work items', config.workItemsDir],
    ['Gates', `pack ${context.policy.current().gatePack}; gatePack in policy.yaml chooses`],
    ['Stop', 'Ctrl-C, or SIGTERM'],
  ]);
  return {
    json: { listening: listening.url, loginLink: link?.url ?? null },
    text: `Build Factory is running (${config.environment}).\n\n${text}\n`,
  };
}

/** Overlapping deploys want it; whoever forgot the first one wants to know. */
function sayNeighbours(config: Config, { say }: VerbContext): void {
  const [pid] = otherUsers(config, process.pid);
  if (pid === undefined) return;
  say(
    `Process ${pid} has this database open, too. That is fine while a deploy overlaps; else stop one of them.`,
  );
}

/** A first installation has backups at once; where its recovery key lies is said once, before the first one. */
function sayRecoveryKey(config: Config, context: VerbContext): void {
  if (!config.jobs || config.backup.recipients.length > 0 || config.environment === 'production') return;
  void import('./lib/backup/keys.ts')
    .then(({ recipientsFor }) => recipientsFor(config))
    .then(({ made }) => made !== null && sayMade(context, made))
    // Each backup says so again, and why.
    .catch((error: unknown) => context.say(`No keys for backups: ${(error as Error).message}`));
}

/** A folder that is gone is taken for one that moved; whoever sees that it is another one can still stop. */
function sayMove({ workItemsDir }: Config, { movedFrom }: Service, { say }: VerbContext): void {
  if (movedFrom === null) return;
  say(`${movedFrom}, which this database was filled from, is gone: it follows ${workItemsDir} from now on.`);
}

/** What keeps work items from being shown. Problems are known once the folder was read; the start waits for nothing. */
function sayQueue({ workItemsDir }: Config, { context, queueRead }: Service, { say }: VerbContext): void {
  if (!existsSync(workItemsDir)) {
    say(`${workItemsDir} does not exist: \`npx factory init\` makes it, or set FACTORY_WORK_ITEMS_DIR.`);
    return;
  }
  void queueRead.then(() => {
    const found = context.items.problems();
    const count = found.filter(({ severity }) => severity !== 'warn').length;
    if (count === 0) return;
    say(
      `${workItemsDir} has ${count} problem${count === 1 ? '' : 's'}: \`npx factory validate\` names each.`,
    );
  });
}

/** In development at each start; elsewhere a link in a log is a door, so only until the first owner came in. */
async function linkIsShown(config: Config, { context }: Service): Promise<boolean> {
  if (config.environment === 'development') return true;
  const people = await context.people.list();
  const owners = people.filter(({ roles, status }) => roles.includes('owner') && status !== 'removed');
  for (const owner of owners) {
    if (owner.lastSeenAt !== null || (await hasSignedIn(context.audit, owner.id))) return false;
  }
  return true;
}

/** Sign-ins end and are deleted; the log remembers them. */
async function hasSignedIn(audit: Service['context']['audit'], actor: string): Promise<boolean> {
  const filters = { action: 'session.signed-in', actor };
  let after: number | null = null;
  do {
    const { entries, next } = await audit.entries({ after, limit: 1, filters });
    if (entries.length > 0) return true;
    after = next;
  } while (after !== null);
  return false;
}

/** `first` resolves at the first signal; a second one ends the process at once. */
function catchSignals({ say }: VerbContext): { first: Promise<void>; release: () => void } {
  const { promise: first, resolve } = Promise.withResolvers<void>();
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(128 + constants.signals[signal]);
    stopping = true;
    say('Stopping; a second signal ends it at once.');
    resolve();
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  return { first, release: () => SIGNALS.forEach((signal) => process.off(signal, stop)) };
}

/** Closes in good order; whatever still keeps the process alive after the time for it does not. */
async function close(service: Service, { say }: VerbContext): Promise<ExitCode> {
  let closed = false;
  setTimeout(() => {
    if (!closed) say('Not everything could be closed in time; what was answered is on disk.');
    process.exit(closed ? EXIT.done : EXIT.failed);
  }, STOP_MS).unref();
  await service.close();
  closed = true;
  return EXIT.done;
}
