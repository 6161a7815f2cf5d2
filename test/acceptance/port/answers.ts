import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { serve } from '../../process/service.ts';
import type { Place as Installation, Service } from '../../process/service.ts';
import { OF_THE_PROCESS, masked } from './differing.ts';
import type { Place } from './places.ts';
import type { Member, Used } from './random-use.ts';
import { readStream } from './streams.ts';
import type { Stream } from './streams.ts';

/** Everything that the product answers on one engine, as far as it has to be the same on the other one. */

export class Answers {
  private readonly dir = mkdtempSync(join(tmpdir(), 'factory-answers-'));
  private readonly files = new Map<string, string>();
  /** How many answered with each status. */
  readonly statuses: Record<string, number> = {};

  set(name: string, status: string, text: string): void {
    const file = join(this.dir, String(this.files.size));
    writeFileSync(file, `${status}\n${text}`);
    this.files.set(name, file);
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
  }

  get names(): string[] {
    return [...this.files.keys()];
  }

  get(name: string): string | undefined {
    const file = this.files.get(name);
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  }

  discard(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export interface Asked {
  used: Used;
  places: readonly Place[];
  searches: readonly Place[];
  streams: readonly Stream[];
  /** Links of pages that are followed, of one kind at most. */
  follow: number;
  /** ms; the wall clock of the service. */
  at: number;
}

const CLOCK = fileURLToPath(new URL('stopped-clock.mjs', import.meta.url));
const READY_MS = 120_000;
/** What answers say outside of their bodies. */
const SAID = [
  'content-type',
  'content-disposition',
  'content-digest',
  'etag',
  'location',
  'allow',
  'www-authenticate',
];
/** Answers that tell up to where the log is signed. */
const SIGNED = /audit|health|operations/;

/** Starts the product on a database of the same installation, asks all of it as everybody, and stops it. */
export async function answersOf(asked: Asked, databaseUrl: string | null): Promise<Answers> {
  const env = { ...asked.used.place.env, STOPPED_AT: String(asked.at) };
  const place: Installation = {
    ...asked.used.place,
    env: databaseUrl === null ? env : { ...env, FACTORY_DATABASE_URL: databaseUrl },
  };
  const service = await serve(place, ['--import', CLOCK]);
  try {
    await untilReady(service, asked.used);
    return await ask(service, asked);
  } finally {
    await service.stop();
  }
}

/** The queue is read, what was owed to it is written, and the search index made: all beside the first answers. */
async function untilReady({ url }: Service, { members }: Used): Promise<void> {
  const headers = bearer(members.find(({ role }) => role === 'owner'));
  const ask = async (path: string): Promise<string> => (await fetch(`${url}${path}`, { headers })).text();
  const isReady = async (): Promise<boolean> => {
    const index = JSON.parse(await ask('/api/search/index')) as { complete: boolean };
    const items = JSON.parse(await ask('/api/control-plane/items?limit=200')) as Items;
    return index.complete && items.items.every(isWritten);
  };
  const giveUp = performance.now() + READY_MS;
  while (!(await isReady())) {
    if (performance.now() > giveUp) throw new Error(`Not ready: ${await ask('/api/control-plane/items')}`);
    await sleep(50);
  }
}

interface Items {
  items: { lane: string; status: string | null; freshness: { verdict: string } }[];
}

/** Only what was cancelled last was owed. */
const isWritten = ({ lane, status, freshness }: Items['items'][number]): boolean =>
  freshness.verdict === 'Fresh' && (lane !== 'cancelled' || status === lane);

const bearer = (member: Member | undefined): Record<string, string> => ({
  authorization: `Bearer ${member?.token ?? ''}`,
});

/** Up to the newest entry: the log is signed a moment after it was written, and its checkpoint saved after that. */
async function untilSigned({ url }: Service, { members }: Used): Promise<void> {
  const headers = bearer(members.find(({ role }) => role === 'owner'));
  const ask = async (path: string): Promise<string> => (await fetch(`${url}${path}`, { headers })).text();
  const { entries } = JSON.parse(await ask('/api/audit/entries?limit=1')) as { entries: { seq: number }[] };
  while ((await ask('/api/audit/checkpoint')).split('\n')[1] !== String(entries[0]?.seq)) await sleep(20);
}

async function ask(service: Service, { used, places, searches, streams, follow }: Asked): Promise<Answers> {
  const answers = new Answers();
  for (const member of used.members) {
    // The owner sees everything and asks for everything, and follows links; some ask for all of the API, which refuses them much;
    // everybody asks for the lists and the pages of the menu.
    const isOwner = member.role === 'owner';
    const limit = isOwner ? follow : 0;
    const waiting = [...places, ...searches].filter((one) => {
      if (!isApi(one) && member.cookie === '') return false;
      return (
        isOwner || !one.template.includes('{') || (isApi(one) && ['planner', 'auditor'].includes(member.role))
      );
    });
    for (const { path, last } of isOwner ? streams : []) {
      const text = await readStream(`${service.url}${path}`, bearer(member), last);
      answers.set(`${member.role} ${path}`, text.slice(0, 3), text);
    }
    const seen = new Set(waiting.map(({ path }) => path));
    const followed = new Map<string, number>();
    for (const place of waiting) {
      if (SIGNED.test(place.path)) await untilSigned(service, used);
      const { status, text, more } = await answer(service, member, place);
      answers.set(`${member.role} ${place.path}`, status, text);
      for (const path of more) {
        if (seen.has(path)) continue;
        const kind = kindOf(path);
        const count = followed.get(kind) ?? 0;
        if (count >= limit) continue;
        followed.set(kind, count + 1);
        seen.add(path);
        waiting.push({ template: place.template, path });
      }
    }
  }
  return answers;
}

/** A path without what differs from one object to the next. */
const kindOf = (path: string): string => {
  const { pathname, searchParams } = new URL(path, 'http://x');
  return `${pathname.replaceAll(/[^/]*\d[^/]*/g, '#')}?${[...searchParams.keys()].join('&')}`;
};

const isApi = ({ template }: Pick<Place, 'template'>): boolean => /^\/(api\/(?!docs)|metrics)/.test(template);

async function answer({ url }: Service, member: Member, { template, path }: Place) {
  const headers: Record<string, string> = isApi({ template }) ? bearer(member) : { cookie: member.cookie };
  const response = await fetch(`${url}${path}`, { headers, redirect: 'manual' });
  const body = Buffer.from(await response.arrayBuffer());
  const said = SAID.flatMap((name) => {
    const value = response.headers.get(name);
    return value === null ? [] : [`${name}: ${value}`];
  });
  const type = response.headers.get('content-type') ?? '';
  const isText = type.startsWith('application/problem+json') || !path.includes('/attachments/');
  const whole = body.toString();
  const text = isText ? masked(template, whole) : createHash('sha256').update(body).digest('hex');
  const more = /html/.test(type)
    ? linksIn(whole)
    : /^application\/json/.test(type)
      ? nextOf(path, whole)
      : [];
  const shown = OF_THE_PROCESS.has(template) ? '' : text;
  return { status: String(response.status), text: [...said, shown].join('\n'), more };
}

const linksIn = (html: string): string[] =>
  [...html.matchAll(/(?:href|hx-get)="(\/[^"#]*)/g)]
    .map(([, path]) => (path ?? '').replaceAll('&amp;', '&'))
    .filter((path) => !/^\/(assets|login|logout)/.test(path));

function nextOf(path: string, json: string): string[] {
  const { nextCursor } = JSON.parse(json) as { nextCursor?: string | null };
  if (!nextCursor) return [];
  const url = new URL(path, 'http://x');
  url.searchParams.set('cursor', nextCursor);
  return [`${url.pathname}${url.search}`];
}

/** What differs, by the name of the question: where, and what is there on both. */
export function differences(ours: Answers, theirs: Answers): string[] {
  return [...new Set([...ours.names, ...theirs.names])].flatMap((name) => {
    const [one, other] = [ours.get(name), theirs.get(name)];
    if (one === other) return [];
    if (one === undefined || other === undefined) return [`${name}: asked on one of both only`];
    let at = 0;
    while (one[at] === other[at]) at += 1;
    const around = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 80), at + 80));
    return [`${name}: ${around(one)} is ${around(other)}`];
  });
}
