import { cpSync, renameSync, rmSync } from 'node:fs';
import { factoryJson } from '../process/service.ts';
import { createDatabase, verifyAudit } from './lab.ts';
import type { Outcome, Run, Verified } from './lab.ts';
import { answersOf, differences, type Answers } from './port/answers.ts';
import { placesOf, searchesOf } from './port/places.ts';
import { discard, useAtRandom } from './port/random-use.ts';
import type { Used } from './port/random-use.ts';
import { streamsOf } from './port/streams.ts';

/**
 * A database of random use is ported to Postgres. Then the product is started on the one and on the other, on copies of the
 * same folder, and asked the same by everybody: each path of its router, the links of its pages, searches, files. Every answer
 * has to be the same but for what `port/differing.ts` names, and the log verifies on both.
 */

/** Of one path, and of links of one kind, so many are asked for. */
const depthOf = (messages: number): number => (messages < 1000 ? 3 : messages < 10_000 ? 8 : 60);
const searchesFor = (messages: number): number => (messages < 1000 ? 25 : 300);

interface Ported {
  rows: number;
  seconds: number;
  quarantined: unknown[];
}

interface Compared {
  same: boolean;
  finished: boolean;
  tables: { name: string; differences: number; digest: string; targetDigest: string }[];
  audit: { same: boolean; source: { ok: boolean }; target: { ok: boolean } } | null;
}

export async function portAnswers({ random, count, below, postgresUrl, say }: Run): Promise<Outcome> {
  let told = 0;
  const used = await useAtRandom({
    ...{ random, messages: count, below },
    say: (written: number) => {
      if (written < told + 10_000) return;
      told = written;
      say(`${written} messages`);
    },
  });
  try {
    const to = await createDatabase(postgresUrl ?? '');
    const { failures, rows, seconds } = await port(used, to);
    say(`${rows} rows copied in ${seconds} s`);
    if (failures.length > 0) return { failures, figures: { rows } };
    const depth = depthOf(count);
    const asked = {
      ...{
        used,
        places: placesOf(used, random, depth),
        searches: searchesOf(used, random, searchesFor(count)),
      },
      ...{ streams: streamsOf(used, depth), follow: depth, at: Date.now() },
    };
    const ask = async (url: string | null): Promise<Side> => {
      const answers = await answersOf(asked, url);
      say(`${answers.names.length} answers ${url === null ? 'of SQLite' : 'of Postgres'}`);
      return { answers, audit: await verifyOn(used, url) };
    };
    const [ours, theirs] = await onCopies(used, [null, to], ask);
    const found = [
      ...judge(ours!, theirs!),
      ...unanswered(ours!.answers, [...asked.places, ...asked.searches, ...asked.streams]),
    ];
    const figures = { rows, answers: ours!.answers.names.length, ...prefixed(ours!.answers.statuses) };
    for (const { answers } of [ours!, theirs!]) answers.discard();
    return { failures: found, figures };
  } finally {
    discard(used);
  }
}

async function port({ place }: Used, to: string) {
  const failures: string[] = [];
  const copied = await factoryJson<Ported>(place, 'port', 'copy', '--to', to);
  const { rows, seconds } = copied.answer;
  if (copied.code !== 0)
    failures.push(`port copy ended with ${copied.code}: ${JSON.stringify(copied.answer)}`);
  const { code, answer } = await factoryJson<Compared>(place, 'port', 'verify', '--to', to);
  const digests = answer.tables?.every((one) => one.digest === one.targetDigest);
  const logs = answer.audit?.source.ok && answer.audit.target.ok && answer.audit.same;
  if (code !== 0 || !answer.finished || !digests || !logs)
    failures.push(`port verify ended with ${code}: ${JSON.stringify(answer).slice(0, 2000)}`);
  return { failures, rows, seconds };
}

interface Side {
  answers: Answers;
  audit: Verified;
}

/** Each works on a copy of the folder as it is now: a service that runs changes it. */
async function onCopies<T, A>(
  { place }: Used,
  all: readonly T[],
  work: (one: T) => Promise<A>,
): Promise<A[]> {
  const kept = `${place.dir}.kept`;
  renameSync(place.dir, kept);
  const done: A[] = [];
  try {
    for (const one of all) {
      cpSync(kept, place.dir, { recursive: true, preserveTimestamps: true });
      done.push(await work(one));
      rmSync(place.dir, { recursive: true });
    }
    return done;
  } finally {
    rmSync(place.dir, { recursive: true, force: true });
    renameSync(kept, place.dir);
  }
}

async function verifyOn({ place }: Used, url: string | null): Promise<Verified> {
  const env = url === null ? place.env : { ...place.env, FACTORY_DATABASE_URL: url };
  return (await verifyAudit({ ...place, env })).answer;
}

function judge(ours: Side, theirs: Side): string[] {
  const failures = differences(ours.answers, theirs.answers);
  const more = failures.length - 20;
  const found = more > 0 ? [...failures.slice(0, 20), `${more} further answers differ`] : failures;
  for (const [name, { ok, problems }] of [
    ['SQLite', ours.audit],
    ['Postgres', theirs.audit],
  ] as const)
    if (!ok) found.push(`the log of ${name} does not verify: ${JSON.stringify(problems).slice(0, 500)}`);
  // They were asked the same, so they recorded the same.
  if (ours.audit.size !== theirs.audit.size)
    found.push(`the log of SQLite has ${ours.audit.size} entries, that of Postgres ${theirs.audit.size}`);
  return found;
}

/** Paths that answer with a redirection to the page that has the form, or for nobody. */
const NEVER =
  /^\/nowhere|^\/login|^\/(audit\/verify|tokens|people\/)|\/(delete|messages|read|release|reject|approve|refuse|end|remove|apply|undo|confirm|take-back|evaluations)$|\/actions\/\{identity\}$|\/access\/\{grant\}|^\/operations\/(jobs|restore)|^\/governance\/policies\/classes$/;

/** Equal refusals say little: each path has to have answered somebody. */
function unanswered(answers: Answers, places: readonly { template: string; path: string }[]): string[] {
  const answered = new Set(
    places
      .filter(({ path }) =>
        answers.names.some((name) => name.endsWith(` ${path}`) && /^200/.test(answers.get(name) ?? '')),
      )
      .map(({ template }) => template),
  );
  const templates = [...new Set(places.map(({ template }) => template))];
  return templates
    .filter((one) => !answered.has(one) && !(NEVER.test(one) && !one.startsWith('/api/')))
    .map((one) => `${one} answered nobody`);
}

const prefixed = (statuses: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(statuses).map(([status, n]) => [`status${status}`, n]));
