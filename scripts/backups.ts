import { readCatalog } from './lib/backup/catalog.ts';
import type { Catalog } from './lib/backup/catalog.ts';
import { asFactoryError } from '../service/errors.ts';
import type { FactoryError } from '../service/errors.ts';
import { OWN_NAME } from './backup.ts';
import { destinationsOf, openDestination } from './lib/destinations/open.ts';
import { table } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { ExitCode, Run } from './lib/verb.ts';
import { sizeText } from './lib/size.ts';

const LIST_MS = 5 * 60_000;

interface Read {
  url: string;
  catalog: Catalog | null;
  error: FactoryError | null;
}

/** What each destination holds. */
export const list: Run = async (context, given) => {
  const config = readConfig(context);
  const name = given.text('name') ?? OWN_NAME;
  const signal = AbortSignal.timeout(LIST_MS);
  const found = await Promise.all(
    destinationsOf(config, 'backups list', given.text('from')).map(async (one): Promise<Read> => {
      try {
        const catalog = await readCatalog(await openDestination(one, context.env), name, { signal });
        return { url: one.url, catalog, error: null };
      } catch (error) {
        return { url: one.url, catalog: null, error: asFactoryError(error, 'list backups') };
      }
    }),
  );
  return { json: listDocument(found), text: listText(found), exit: exitOf(found) };
};

function listDocument(found: readonly Read[]): unknown {
  const backups = found.flatMap(({ url, catalog }) =>
    (catalog?.entries ?? []).map(({ manifest, bytes }) => ({
      backupId: manifest.backupId,
      kind: manifest.kind,
      sequence: manifest.sequence,
      startedAt: manifest.startedAt,
      finishedAt: manifest.finishedAt,
      verifiedAt: null,
      bytes,
      destination: url,
    })),
  );
  const problems = found.flatMap(({ url, catalog, error }) => [
    ...(error ? [{ destination: url, key: null, ...error.toJSON() }] : []),
    ...(catalog?.problems ?? []).map((one) => ({ destination: url, key: one.key, ...one.error.toJSON() })),
  ]);
  return { backups, problems };
}

function listText(found: readonly Read[]): string {
  return found
    .map(({ url, catalog, error }) => {
      if (error !== null) return `${url}\n  ${error.message}\n  ${error.hint}`;
      const { entries, problems } = catalog ?? { entries: [], problems: [] };
      const rows = entries.map(({ manifest: { backupId, kind, finishedAt }, bytes }) => [
        backupId,
        kind,
        finishedAt,
        sizeText(bytes),
      ]);
      const lines =
        rows.length === 0 ? 'no backup yet' : table(['BACKUP', 'KIND', 'FINISHED', 'STORED'], rows);
      return [
        url,
        lines,
        ...problems.map(({ key, error: { message } }) => `not usable: ${key}: ${message}`),
      ].join('\n');
    })
    .join('\n\n');
}

function exitOf(found: readonly Read[]): ExitCode {
  if (found.every(({ error }) => error !== null)) return EXIT.failed;
  const whole = found.every(({ error, catalog }) => error === null && catalog?.problems.length === 0);
  return whole ? EXIT.done : EXIT.degraded;
}
