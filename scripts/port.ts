import type { Config } from '../service/config.ts';
import { FactoryError } from '../service/errors.ts';
import { verifyInstallation } from '../service/offline.ts';
import { check as checkPort } from '../service/storage/port/check.ts';
import { copy as copyPort } from '../service/storage/port/copy.ts';
import type { RowDifference, TableComparison } from '../service/storage/port/compare.ts';
import { openSource } from '../service/storage/port/source.ts';
import type { Source } from '../service/storage/port/source.ts';
import type { Quarantined } from '../service/storage/port/target.ts';
import { verify as verifyPort } from '../service/storage/port/verify.ts';
import type { Snapshots, Verified } from '../service/storage/port/verify.ts';
import { usage } from './lib/failure.ts';
import { fields } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import { EXIT } from './lib/verb.ts';
import type { Answer, Given, Run, VerbContext } from './lib/verb.ts';

/** From the configured SQLite database to a Postgres database; the first is read only and stays as it is. */

export const check: Run = (context, given) =>
  withSource('check', context, given, false, async (source, to) => {
    const { tables, cannotGo, target } = await checkPort(source, to, told(context, 'Checking'));
    const rows = sum(tables.map((table) => table.rows));
    const next =
      cannotGo.length > 0
        ? `${cannotGo.length} rows cannot go as they are:\n${cannotGo.map(rowText).join('\n')}`
        : `All rows can go. Stop the service, then: npx factory port copy --to ${shown(to)}`;
    return {
      json: { tables, rows, cannotGo, target },
      text: `${fields([
        ['Rows', rows],
        ['Target', target],
      ])}\n${next}`,
      exit: cannotGo.length > 0 ? EXIT.failed : EXIT.done,
    };
  });

export const copy: Run = (context, given) =>
  withSource('copy', context, given, true, async (source, to) => {
    const started = performance.now();
    const { tables, quarantined, again } = await copyPort(source, to, {
      again: given.flag('again'),
      progress: told(context, 'Copying'),
    });
    const seconds = (performance.now() - started) / 1000;
    const rows = sum(tables.map((table) => table.rows));
    const before = sum(tables.map((table) => table.before));
    if (again === 'source-changed')
      context.say('The old database changed since the copy began, so it was copied from the start.');
    const next =
      quarantined.length > 0
        ? `${quarantined.length} rows did not go; they are where they were, in the old database:\n${quarantined.map(rowText).join('\n')}`
        : `Now compare: npx factory port verify --to ${shown(to)}`;
    return {
      json: { tables, rows, before, quarantined, again, seconds: Number(seconds.toFixed(3)) },
      text: `${fields([
        ['Rows', `${rows}${before > 0 ? `, ${before} of them by an earlier run` : ''}`],
        ['Seconds', seconds.toFixed(1)],
      ])}\n${next}`,
      exit: quarantined.length > 0 ? EXIT.failed : EXIT.done,
    };
  });

export const verify: Run = (context, given) =>
  withSource('verify', context, given, true, async (source, to, config) => {
    let audit: AuditComparison | null = null;
    const verified = await verifyPort(source, to, {
      progress: told(context, 'Comparing'),
      further: async (ours, theirs) => {
        context.progress('Comparing the audit logs');
        audit = await compareAudit(config, ours, theirs);
        return audit.same;
      },
    });
    return verifyAnswer(verified, audit);
  });

async function withSource(
  verb: string,
  context: VerbContext,
  given: Given,
  alone: boolean,
  work: (source: Source, to: string, config: Config) => Promise<Answer>,
): Promise<Answer> {
  const config = readConfig(context);
  const to = targetOf(verb, given.text('to') ?? '');
  if (!config.databaseUrl.startsWith('sqlite:'))
    throw new FactoryError({
      code: 'port-source',
      op: `port ${verb}`,
      message: 'The configured database is Postgres already.',
      hint: 'A port goes from SQLite to Postgres: take FACTORY_DATABASE_URL away where it is set, until the port is verified.',
    });
  const source = openSource(config.databaseUrl.slice('sqlite:'.length), { alone });
  try {
    return await work(source, to, config);
  } finally {
    source.close();
    context.progress('');
  }
}

function targetOf(verb: string, to: string): string {
  if (/^postgres(ql)?:\/\//.test(to) && URL.canParse(to)) return to;
  throw usage(`port ${verb}`, '--to: name the new database as postgres://user@host/name.');
}

/** As it was given, but for a password: that stays out of terminals and logs. */
function shown(to: string): string {
  const url = new URL(to);
  if (url.password !== '') url.password = 'PASSWORD';
  return url.href;
}

const told =
  ({ progress }: VerbContext, what: string) =>
  (table: string, rows: number): void =>
    progress(`${what} ${table}: ${rows.toLocaleString('en')} rows`);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

const rowText = ({ table, key, rowid, reason }: Quarantined): string =>
  `  ${table} ${JSON.stringify(key)}, row ${rowid}: ${reason}`;

interface AuditComparison {
  same: boolean;
  source: { ok: boolean; size: number; root: string };
  target: { ok: boolean; size: number; root: string };
}

/** Both logs are read again as `verify-audit` does. A log that was broken before is as broken after, and is told. */
async function compareAudit(config: Config, ours: Snapshots, theirs: Snapshots): Promise<AuditComparison> {
  const of = async (side: Snapshots) => {
    const { ok, size, root } = await verifyInstallation(side, config);
    return { ok, size, root };
  };
  const [source, target] = [await of(ours), await of(theirs)];
  const same = source.ok === target.ok && source.size === target.size && source.root === target.root;
  return { same, source, target };
}

function verifyAnswer(verified: Verified, audit: AuditComparison | null): Answer {
  const { same, tables, sequences, schema, finished } = verified;
  const differing = tables.filter((one) => one.differences > 0 || one.digest !== one.targetDigest);
  const found = [
    ...schema.map((line) => `  schema ${line}`),
    ...sequences.map((one) => `  ${one.table}: counts from ${one.target}, not from ${one.source}`),
    ...differing.flatMap(tableText),
    ...(audit !== null && !audit.same ? [`  audit log: ${audit.target.root}, not ${audit.source.root}`] : []),
  ];
  const facts = fields([
    ['Rows', sum(tables.map((one) => one.source))],
    ...(audit === null
      ? []
      : [['Audit log', `${audit.source.size} entries, root ${audit.source.root}`] as const]),
  ] as [string, string | number][]);
  const verdict = !same
    ? 'The databases differ. To copy all of it again: npx factory port copy --again'
    : finished
      ? 'Nothing differs. Set FACTORY_DATABASE_URL to the new database and start the service, which then makes the search index anew.'
      : 'Nothing differs.';
  return {
    json: { ...verified, audit, searchIndex: same ? 'anew-at-start' : null },
    text: [facts, ...found, verdict].join('\n'),
    exit: same ? EXIT.done : EXIT.failed,
  };
}

function tableText({ name, differences, named }: TableComparison): string[] {
  const rest = differences - named.length;
  return [
    ...named.map((one) => `  ${name} ${differenceText(one)}`),
    ...(rest > 0 ? [`  ${name}: ${rest} further rows`] : []),
  ];
}

function differenceText({ key, what, where = [] }: RowDifference): string {
  const words = {
    missing: 'is missing',
    added: 'is not in the old one',
    changed: 'differs in',
    'cannot-go': 'did not go:',
  };
  return [JSON.stringify(key), words[what], where.join(', ')].join(' ').trimEnd();
}
