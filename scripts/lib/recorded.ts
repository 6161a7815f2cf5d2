import type { Config } from '../../service/config.ts';
import { asFactoryError } from '../../service/errors.ts';
import { errorFact, OWN_NAME, saveFacts } from '../../service/jobs/facts.ts';
import type { Fact, FactError } from '../../service/jobs/facts.ts';
import { insertEnded } from '../../service/jobs/runs.ts';
import type { JobName, RunOutcome } from '../../service/jobs/types.ts';
import { openAsItIs } from '../../service/storage/open.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import { hasData } from './data.ts';
import { EXIT } from './verb.ts';
import type { Answer, RunKeeper, VerbContext } from './verb.ts';

/** What a verb's work came to. */
export interface Work {
  answer: Answer;
  facts: Fact[];
  /** Absent: as the exit code says. */
  outcome?: RunOutcome;
  /** What it turned out to be, where that is another job than was asked for. */
  job?: JobName;
  /** It says nothing of what this installation relies on, so nothing is written down; absent: it does. */
  aside?: boolean;
}

const ERRORS_OF: Record<JobName, FactError> = {
  backup: 'backup',
  differential: 'backup',
  verify: 'verify',
  prune: 'prune',
  drill: 'drill',
};

/** What was typed is wrong, not what is there. */
const MISTAKES = new Set(['usage', 'backup-none', 'backup-unknown', 'identity-wrong', 'plan-outdated']);

/**
 * Does the work of a job on the product's own database and writes down how it ended and what it found out. A database
 * that cannot be written keeps nobody from making a backup of it: that is said, and the work goes on. `work` gets the
 * database as it is; null: it cannot be opened, or an older release made it.
 */
export async function recorded(
  context: VerbContext,
  config: Config,
  job: JobName,
  work: (context: VerbContext, storage: Storage | null) => Promise<Work>,
): Promise<Answer> {
  const lines: string[] = [];
  const say = (text: string): void => {
    lines.push(`${new Date().toISOString()} ${text}`);
    context.say(text);
  };
  const startedAt = new Date().toISOString();
  const storage = await openForRecords(config, context);
  const write = async (
    outcome: RunOutcome,
    result: unknown,
    facts: readonly Fact[],
    done: JobName = job,
  ): Promise<void> => {
    if (storage === null) return;
    const endedAt = new Date().toISOString();
    const run = { job: done, startedAt, endedAt, outcome, result, log: lines.join('\n') };
    try {
      await saveFacts(storage, OWN_NAME, endedAt, facts);
      await (context.keep ?? keepAlone)(storage, run);
    } catch (error) {
      context.say(`The run could not be recorded: ${asFactoryError(error, 'record run').message}`);
    }
  };
  try {
    const { answer, facts, outcome, job: done, aside } = await work({ ...context, say }, storage);
    if (!aside) await write(outcome ?? outcomeOf(answer), answer.json, facts, done);
    return answer;
  } catch (thrown) {
    const error = asFactoryError(thrown, `run ${job}`);
    const facts = config.backup.destinations.map(({ url }) => errorFact(ERRORS_OF[job], url, error));
    // A mistake in the call says nothing of the destinations, nor does another run that is at it.
    if (!MISTAKES.has(error.code))
      await write('failed', { error: error.toJSON() }, error.code === 'locked' ? [] : facts);
    throw thrown;
  } finally {
    await storage?.close().catch(() => undefined);
  }
}

const keepAlone: RunKeeper = async (storage, run) => {
  await insertEnded(storage, { ...run, startedBy: { kind: 'command-line', id: null } });
};

async function openForRecords(config: Config, { say }: VerbContext): Promise<Storage | null> {
  try {
    const storage = await openAsItIs(config.databaseUrl);
    const why = hasData(config) ? 'an older release made this database' : 'there is no database here yet';
    if (storage === null) say(`The run is not recorded: ${why}.`);
    return storage;
  } catch (error) {
    say(`The run is not recorded: ${asFactoryError(error, 'open database').message}`);
    return null;
  }
}

function outcomeOf({ exit }: Answer): RunOutcome {
  if (exit === undefined || exit === EXIT.done) return 'ok';
  return exit === EXIT.degraded ? 'degraded' : 'failed';
}
