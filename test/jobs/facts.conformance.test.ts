import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FactoryError } from '../../service/errors.ts';
import {
  backupFacts,
  coveredNow,
  errorFact,
  OWN_NAME,
  readFacts,
  saveFacts,
  verifyFacts,
} from '../../service/jobs/facts.ts';
import type { Listed } from '../../service/jobs/facts.ts';
import { ownMark, readSentinel, writeSentinel } from '../../service/jobs/mark.ts';
import { insertEnded, listRuns, runById } from '../../service/jobs/runs.ts';
import { openAsItIs, openStorage } from '../../service/storage/open.ts';
import type { Storage } from '../../service/storage/transaction.ts';
import { createEngineDatabase } from '../helpers/postgres.ts';

const [NEAR, FAR] = ['file:///near', 's3://far/backups'];
const AT = '2026-05-01T10:00:00.000Z';
const away = new FactoryError({
  code: 'destination-failed',
  op: 'send',
  message: 'It is away.',
  hint: 'Wait.',
});

let url: string;
let storage: Storage;
beforeEach(async () => {
  url = await createEngineDatabase();
  storage = await openStorage(url);
});
afterEach(() => storage.close());

const known = async (destination: string) => (await readFacts(storage.read, OWN_NAME)).get(destination);
const outcome = (change: Partial<Parameters<typeof backupFacts>[0]> = {}) => ({
  ...{ backupId: 'full/factory/1', kind: 'full' as const, startedAt: AT, storedBytes: 7 },
  destinations: [{ url: NEAR }, { url: FAR, error: away }],
  ...change,
});
const listed = (n: number, verified: Listed['verified']): Listed => ({
  ...{ backupId: `full/factory/${n}`, kind: 'full', takenAt: `2026-05-0${n}T00:00:00.000Z`, bytes: 10 },
  verified,
});

describe('facts', () => {
  const emptied = new FactoryError({
    code: 'destination-emptied',
    op: 'list',
    message: 'Gone.',
    hint: 'Mount it.',
  });
  it.each([
    ['a backup', () => backupFacts(outcome({ destinations: [{ url: NEAR, error: emptied }] }), 'mark')],
    ['a look', () => verifyFacts(NEAR, null, emptied)],
  ])('of a destination that %s found empty are that nothing is there', async (_, found) => {
    const checked = { at: AT, how: 'ciphertext' as const };
    await saveFacts(storage, OWN_NAME, AT, [
      ...backupFacts(outcome(), 'mark'),
      ...verifyFacts(NEAR, [listed(1, checked)], null),
    ]);
    const later = '2026-05-01T11:00:00.000Z';
    await saveFacts(storage, OWN_NAME, later, found());
    const one = await known(NEAR);
    expect(one).toMatchObject({
      ...{ newest: null, verified: null, total: { backups: 0, bytes: 0, at: later } },
      errors: [{ code: 'destination-emptied' }],
    });
    expect(one && coveredNow(one)).toBeNull();
  });

  it('tell of each destination what a backup came to', async () => {
    await saveFacts(storage, OWN_NAME, AT, backupFacts(outcome(), 'mark'));
    expect(await known(NEAR)).toMatchObject({
      newest: { backupId: 'full/factory/1', kind: 'full', takenAt: AT, bytes: 7 },
      covered: { at: AT, mark: 'mark' },
      errors: [],
    });
    expect(await known(FAR)).toMatchObject({
      newest: null,
      covered: null,
      errors: [{ of: 'backup', code: 'destination-failed', message: 'It is away.', hint: 'Wait.', at: AT }],
    });
  });

  it('move on what is covered, and keep the newest, where nothing was to be sent', async () => {
    await saveFacts(storage, OWN_NAME, AT, backupFacts(outcome(), 'mark'));
    const later = '2026-05-01T10:05:00.000Z';
    const idle = outcome({ kind: 'skipped', startedAt: later, destinations: [{ url: NEAR }] });
    await saveFacts(storage, OWN_NAME, later, backupFacts(idle, 'mark'));
    expect(await known(NEAR)).toMatchObject({ newest: { takenAt: AT }, covered: { at: later } });
  });

  it('lose an error to a later success of the same kind only', async () => {
    await saveFacts(storage, OWN_NAME, AT, [
      errorFact('backup', NEAR, away),
      errorFact('verify', NEAR, away),
    ]);
    await saveFacts(storage, OWN_NAME, AT, [errorFact('backup', NEAR, null)]);
    expect((await known(NEAR))?.errors.map(({ of }) => of)).toEqual(['verify']);
  });

  it('take from a verification what is there, and no backup for verified that is gone or damaged', async () => {
    const checked = { at: AT, how: 'ciphertext' as const };
    await saveFacts(storage, OWN_NAME, AT, verifyFacts(NEAR, [listed(1, checked), listed(2, checked)], null));
    expect(await known(NEAR)).toMatchObject({
      verified: { backupId: 'full/factory/2', verifiedAt: AT, how: 'ciphertext' },
      total: { backups: 2, bytes: 20, at: AT },
    });
    await saveFacts(storage, OWN_NAME, AT, verifyFacts(NEAR, [listed(1, checked), listed(2, null)], away));
    expect(await known(NEAR)).toMatchObject({
      ...{ newest: { backupId: 'full/factory/2' }, verified: { backupId: 'full/factory/1' } },
      errors: [{ of: 'verify' }],
    });
    await saveFacts(storage, OWN_NAME, AT, verifyFacts(NEAR, [], null));
    expect(await known(NEAR)).toMatchObject({
      newest: null,
      verified: null,
      total: { backups: 0 },
      errors: [],
    });
  });

  it('know nothing new of a destination that cannot be read, but that', async () => {
    await saveFacts(storage, OWN_NAME, AT, backupFacts(outcome(), 'mark'));
    await saveFacts(storage, OWN_NAME, AT, verifyFacts(NEAR, null, away));
    expect(await known(NEAR)).toMatchObject({ newest: { takenAt: AT }, errors: [{ of: 'verify' }] });
  });
});

describe('runs', () => {
  const run = {
    ...{ job: 'backup' as const, startedAt: AT, endedAt: AT, outcome: 'ok' as const, log: 'said' },
    ...{ startedBy: { kind: 'command-line' as const, id: null }, result: { backupId: 'x', left: undefined } },
  };

  it('are kept as they ended, newest first', async () => {
    const first = await insertEnded(storage, run);
    const second = await insertEnded(storage, {
      ...run,
      job: 'verify',
      startedAt: '2026-05-01T11:00:00.000Z',
    });
    expect(await runById(storage.read, first)).toEqual({
      ...run,
      ...{ id: first, fence: 0, dueAt: null, result: { backupId: 'x' } },
    });
    const ids = async (query: Partial<Parameters<typeof listRuns>[1]>) =>
      (await listRuns(storage.read, { after: null, limit: 9, ...query })).map(({ id }) => id);
    expect(await ids({})).toEqual([second, first]);
    expect(await ids({ job: 'backup' })).toEqual([first]);
    expect(await ids({ after: { startedAt: '2026-05-01T11:00:00.000Z', id: second } })).toEqual([first]);
    await expect(runById(storage.read, 'none')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('keep the end of a long log, and of a huge result that it was huge', async () => {
    const id = await insertEnded(storage, {
      ...run,
      log: 'a'.repeat(20_000) + 'end',
      result: 'b'.repeat(70_000),
    });
    const { log, result } = await runById(storage.read, id);
    expect(log).toHaveLength(16_384);
    expect(log).toMatch(/^…a+end$/);
    expect(result).toEqual({ omitted: 70_002 });
  });
});

describe('the mark of the own database', () => {
  it('stays while nothing has an audit entry, sentinel and runs included', async () => {
    const before = await ownMark(storage.read);
    expect(await readSentinel(storage.read)).toBeNull();
    await writeSentinel(storage, AT);
    await saveFacts(storage, OWN_NAME, AT, backupFacts(outcome(), before));
    expect(await readSentinel(storage.read)).toBe(AT);
    expect(await ownMark(storage.read)).toBe(before);
  });
});

describe('a database that is opened as it is', () => {
  it('is this one, or none where it would have to be made', async () => {
    const same = await openAsItIs(url);
    expect(await ownMark(same!.read)).toBe(await ownMark(storage.read));
    await same?.close();
    const fresh = await createEngineDatabase();
    expect(await openAsItIs(fresh).catch((error: { code: string }) => error.code)).toBeNull();
  });
});
