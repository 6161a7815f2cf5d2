import type { VerifyResult } from '../service/audit/verify.ts';
import { leavesFrom } from '../service/audit/store.ts';
import { verifyInstallation } from '../service/offline.ts';
import { openStorage } from '../service/storage/open.ts';
import type { Reader, Storage } from '../service/storage/transaction.ts';
import { readCheckpointArgs, readVkeyArg } from './lib/checkpoint-args.ts';
import { assertData } from './lib/data.ts';
import { fields, wrap } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Run } from './lib/verb.ts';

export const verifyAudit: Run = async (context, given) => {
  const config = readConfig(context);
  const checkpoints = readCheckpointArgs(given.list('checkpoint'), context.cwd);
  const vkey = readVkeyArg(given.text('vkey'), context.cwd);
  assertData(config);
  const storage = await openStorage(config.databaseUrl);
  try {
    const watched = watchLeaves(storage, (seq) =>
      context.progress(`Verifying entry ${seq.toLocaleString('en')}`),
    );
    const result = await verifyInstallation(watched, config, {
      checkpoints,
      ...(vkey !== undefined && { vkey }),
    });
    return { json: result, text: verifyText(result), exit: result.ok ? EXIT.done : EXIT.failed };
  } finally {
    await storage.close();
  }
};

/** The same storage, telling how far the reading of leaves is. */
function watchLeaves(storage: Storage, onSeq: (seq: number) => void): Storage {
  const watch = (reader: Reader): Reader => ({
    get: (statement, params) => reader.get(statement, params),
    query: (build) => reader.query(build),
    all(statement, params) {
      if (Object.is(statement, leavesFrom)) onSeq(Math.max((params as { from: number }).from, 0));
      return reader.all(statement, params);
    },
  });
  return {
    ...storage,
    read: watch(storage.read),
    snapshot: (work) => storage.snapshot((reader) => work(watch(reader))),
  };
}

function verifyText({ ok, size, root, problems, signedSize, notChecked }: VerifyResult): string {
  const facts = fields([
    ['Entries', size],
    ['Signed', `${signedSize} by a checkpoint${signedSize < size ? '; the rest only fits together' : ''}`],
    ['Root', root],
    ...notChecked.map((reason): [string, string] => ['Not checked', reason]),
  ]);
  const found = problems.map(
    ({ code, message, hint }) => `- ${code}\n${wrap(message, '  ')}\n${wrap(hint, '  ')}`,
  );
  return [verdict(ok, size, signedSize), facts, ...found].join('\n');
}

/** Without a checkpoint a log that was replaced as a whole looks like any other. */
function verdict(ok: boolean, size: number, signedSize: number): string {
  if (!ok) return 'The audit log is not what was written.';
  if (signedSize === 0 && size > 0)
    return 'The entries fit together; no checkpoint says that they are the ones written.';
  return 'Nothing was changed in the audit log.';
}
