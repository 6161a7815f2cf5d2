import { randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { actionPath, eventually, itemPath } from '../process/client.ts';
import { factoryJson } from '../process/service.ts';
import { LANES } from './lanes.ts';
import type { Identity } from './lanes.ts';
import { auditFailures, inLab, lanesNow, queueOf, recordText, textsBelow } from './lab.ts';
import type { Lab, Outcome, Run } from './lab.ts';
import type { Random } from './random.ts';

/**
 * People edit, move, delete, copy, link and break files of the queue while actions run. Nothing that a person wrote
 * and did not take away is lost, no action that was answered is, the service stays up, and what is broken is shown.
 */

const ITEMS = 25;
const ACTIONS: Identity[] = [
  'record-history',
  'mark-ready',
  'start-execution',
  'claim',
  'request-review',
  'reconcile',
];
/** A pause between edits, so that they meet the watcher, the outbox and the scan in all orders. */
const PAUSE_MS = 25;

/** Texts that a person wrote last and nobody but that person may take away: marker -> where it was put. */
type Written = Map<string, string>;
const MARKERS = /marker-\d+-of-wi-CA-\d+\./g;

export function queueChaos(run: Run): Promise<Outcome> {
  return inLab(run, queueOf(ITEMS, ['backlog', 'ready', 'executing', 'review']), async (lab) => {
    const written: Written = new Map();
    const state = { done: false };
    const acting = actUntil(lab, run.random.fork('actions'), state);
    const random = run.random.fork('edits');
    const editing = async (): Promise<void> => {
      for (let n = 0; n < run.count && !state.done; n += 1) {
        edit(lab, random, written, n);
        await sleep(random.below(PAUSE_MS));
      }
    };
    await Promise.race([editing(), acting]).finally(() => (state.done = true));
    const { applied, failures } = await acting;
    failures.push(...(await judge(lab, written, applied)));
    return { failures, figures: { edits: run.count, applied: applied.length, watched: written.size } };
  });
}

interface Applied {
  id: string;
  decisionId: string;
}

async function actUntil(lab: Lab, random: Random, state: { done: boolean }) {
  const applied: Applied[] = [];
  const failures: string[] = [];
  while (!state.done) {
    const id = random.pick(lab.ids);
    const headers = { 'idempotency-key': randomUUID() };
    const { status, text, body } = await lab
      .as('owner')
      .post(actionPath(id, random.pick(ACTIONS)), {}, headers);
    if (status >= 500) failures.push(`an action answered ${status}: ${text.slice(0, 300)}`);
    if (status === 200) applied.push({ id, decisionId: body.decisionId as string });
  }
  return { applied, failures };
}

/** One change by hand. Whole files are renamed into place, as editors do. */
function edit(lab: Lab, random: Random, written: Written, n: number): void {
  const id = random.pick(lab.ids);
  const lane = random.pick(LANES);
  const here = LANES.map((one) => `${one}/${id}.md`).find((path) => isFile(lab, path));
  const marker = `marker-${n}-of-${id}.`;
  const kinds: (() => void)[] = [
    () => here && put(lab, written, here, recordText(id, lane, marker), marker),
    () => put(lab, written, `${lane}/${id}.md`, recordText(id, lane, marker), marker),
    () => here && move(lab, here, `${lane}/${id}.md`, written),
    () => here && remove(lab, here, written),
    () => put(lab, written, `prompts/${id}.prompt.md`, `${marker}\n`, marker),
    () => remove(lab, `prompts/${id}.prompt.md`, written),
    () => put(lab, written, `${lane}/copy-of-${id}.md`, recordText(id, lane, marker), marker),
    () => here && put(lab, written, here, random.pick(MALFORMED)(marker), marker),
    () =>
      put(
        lab,
        written,
        `${lane}/wi-HUGE-${random.below(3)}.md`,
        recordText('wi-HUGE-1', lane, 'x'.repeat(3_000_000)),
        null,
      ),
    () => link(lab, `${lane}/${id}.md`, written),
  ];
  random.pick(kinds)();
}

const MALFORMED: ((marker: string) => string)[] = [
  (marker) => `---\nid: [\n---\n${marker}\n`,
  (marker) => `no front matter ${marker}\n`,
  (marker) => `---\ntitle: "unclosed ${marker}\n`,
  (marker) => `---\nid: wi-OTHER-1\ntitle: x\nstatus: ready\nworkType: x\n---\n${marker}\n`,
  (marker) => `---\nid: x\n---\n${marker}\0\n`,
];

function isFile(lab: Lab, path: string): boolean {
  return statSync(join(lab.place.queue, path), { throwIfNoEntry: false })?.isFile() ?? false;
}

function put(lab: Lab, written: Written, path: string, text: string, marker: string | null): void {
  const full = join(lab.place.queue, path);
  forgetMarkersIn(full, written);
  mkdirSync(dirname(full), { recursive: true });
  const beside = join(lab.place.dir, `edit-${randomUUID()}`);
  writeFileSync(beside, text);
  renameSync(beside, full);
  if (marker) written.set(marker, path);
}

function move(lab: Lab, from: string, to: string, written: Written): void {
  if (from === to) return;
  mkdirSync(dirname(join(lab.place.queue, to)), { recursive: true });
  forgetMarkersIn(join(lab.place.queue, to), written);
  ignoringGone(() => renameSync(join(lab.place.queue, from), join(lab.place.queue, to)));
}

function remove(lab: Lab, path: string, written: Written): void {
  const full = join(lab.place.queue, path);
  forgetMarkersIn(full, written);
  ignoringGone(() => unlinkSync(full));
}

function link(lab: Lab, path: string, written: Written): void {
  const outside = join(lab.place.dir, 'outside.md');
  if (!existsSync(outside)) writeFileSync(outside, 'A secret that no page may show.\n');
  remove(lab, path, written);
  mkdirSync(dirname(join(lab.place.queue, path)), { recursive: true });
  ignoringGone(() => symlinkSync(outside, join(lab.place.queue, path)));
}

/** The person takes these away with their own hands. */
function forgetMarkersIn(full: string, written: Written): void {
  ignoringGone(() => {
    const text = readFileSync(full, 'utf8');
    for (const marker of text.match(MARKERS) ?? []) written.delete(marker);
  });
}

function ignoringGone(change: () => void): void {
  try {
    change();
  } catch (error) {
    // The service moved or made the file in between; both are part of the chaos.
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

async function judge(lab: Lab, written: Written, applied: Applied[]): Promise<string[]> {
  const owner = lab.as('owner');
  const failures: string[] = [];
  if ((await owner.get('/api/health')).status !== 200) failures.push('the service is not healthy');
  const lanes = await lanesNow(owner, lab.ids);
  for (const [id, lane] of lanes) if (lane === undefined) failures.push(`${id} is gone`);
  // One pass over the files: a search for each marker would hold this process until its connections are closed.
  const found = new Set([...textsBelow(lab.place.queue)].flatMap((text) => text.match(MARKERS) ?? []));
  for (const [marker, path] of written)
    if (!found.has(marker)) failures.push(`${marker} written to ${path} is lost`);
  for (const { id, decisionId } of applied) {
    const { status } = await owner.get(`${itemPath(id)}/decisions/${decisionId}`);
    if (status !== 200) failures.push(`decision ${decisionId} of ${id} was answered and is gone (${status})`);
  }
  failures.push(...(await plantAndLook(lab)), ...(await auditFailures(lab.place)));
  if (/^\s+at /m.test(lab.service.stderr()))
    failures.push(`a stack trace in the log: ${/^.*\n\s+at .*$/m.exec(lab.service.stderr())?.[0]}`);
  return failures;
}

/** Known damage at the end: each piece is told by `validate` and on the item's page of the API. */
async function plantAndLook(lab: Lab): Promise<string[]> {
  const [broken, linked, huge] = lab.ids;
  if (!broken || !linked || !huge) return [];
  for (const id of [broken, linked, huge]) {
    for (const lane of LANES) rmSync(join(lab.place.queue, lane, `${id}.md`), { force: true });
  }
  mkdirSync(join(lab.place.queue, 'ready'), { recursive: true });
  const at = (id: string): string => join(lab.place.queue, 'ready', `${id}.md`);
  writeFileSync(at(broken), `---\nid: ${broken}\ntitle: [\n---\n`);
  symlinkSync(join(lab.place.dir, 'outside.md'), at(linked));
  writeFileSync(at(huge), 'x'.repeat(3_000_000));
  const failures: string[] = [];
  const { answer } = await factoryJson<{ problems: { file: string }[] }>(lab.place, 'validate');
  for (const id of [broken, linked, huge]) {
    if (!answer.problems.some(({ file }) => file.endsWith(`ready/${id}.md`)))
      failures.push(`validate says nothing of ${id}`);
    await eventually(
      () => lab.as('owner').get(itemPath(id)),
      ({ body }) => (body?.problems as unknown[] | undefined)?.length !== 0,
    ).catch(() => failures.push(`the item ${id} shows no problem`));
  }
  return failures;
}
