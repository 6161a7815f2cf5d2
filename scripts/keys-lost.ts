import { hash } from 'node:crypto';
import { resolve } from 'node:path';
import { canonicalJson } from '../service/canonical-json.ts';
import { giveUp, planFound, planLoss, takeIn } from '../service/lost-keys.ts';
import type { LossPlan } from '../service/lost-keys.ts';
import { systemClock } from '../service/clock.ts';
import { shellWord } from './lib/command.ts';
import { assertData } from './lib/data.ts';
import { planOutdated } from './lib/failure.ts';
import { counted } from './lib/layout.ts';
import { readConfig } from './lib/settings.ts';
import { plural } from './lib/size.ts';
import type { Run } from './lib/verb.ts';

/** Keys of an installation that are lost for good, and that are found again: a plan, then exactly that. */

const digestOf = (what: string, plan: object): string =>
  hash('sha256', `build-factory/${what}/1\n${canonicalJson(plan)}`);

/** Sessions that are named on the terminal; --json names all. */
const MOST = 20;

export const lost: Run = async (context, given) => {
  const config = readConfig(context);
  assertData(config);
  const plan = await planLoss(config);
  const digest = digestOf('keys-lost', plan);
  const asked = given.text('apply');
  if (asked === undefined) return { json: { plan: { ...plan, digest } }, text: lossText(plan, digest) };
  if (asked !== digest) throw planOutdated('give up lost keys', asked, 'keys lost');
  const aside = await giveUp(config, plan, systemClock.iso());
  const lines = [
    'The keys are given up, and there are new ones: the service starts.',
    ...(aside === null ? [] : [`What was left of the old ones lies in ${aside}.`]),
    'Next: npm start, then npx factory search rebuild, npx factory backup --full and npx factory keys show: what signs backups may be new.',
    'Should the old keyring be found: npx factory keys found --from FOLDER.',
  ];
  return { json: { applied: { ...plan, aside } }, text: lines.join('\n') };
};

function lossText({ lost: files, log, counts, sessions }: LossPlan, digest: string): string {
  const { messages, titles, attachments, quarantined, subjects } = counts;
  const named = sessions
    .slice(0, MOST)
    .map(({ id, class: kind, messages: count }) => `  ${id}  ${kind}, ${counted(count, 'message')}`);
  const more = sessions.length > MOST ? [`  and ${sessions.length - MOST} more: --json names all`] : [];
  return [
    `Lost: ${files.join(', ')}.`,
    `Nobody can read these any more, unless the old keyring is found: ${counted(messages, 'message')}, ${counted(titles, 'title')}, ${counted(attachments, 'file')} and`,
    `${counted(quarantined, 'original')} in quarantine in ${counted(sessions.length, 'session')}, and the names of ${counted(subjects, 'subject')}:`,
    ...[...named, ...more],
    'They stay where they are, shown as unreadable, and can be deleted and expire. Not to be had any more: an erasure by name of whom they',
    'are about, search in them, their export, and that the names of erased subjects are refused.',
    ...(log
      ? [
          'The audit log goes on with new keys and says from which entry on; contents from before cannot be compared with it.',
        ]
      : []),
    'First make sure that no copy is left: `npx factory keys restore --from URL --identity FILE` for each destination, and your own backups of the folder.',
    `Nothing was changed yet. To do this: npx factory keys lost --apply ${digest}`,
  ].join('\n');
}

export const found: Run = async (context, given) => {
  const config = readConfig(context);
  assertData(config);
  const from = resolve(context.cwd, given.text('from') ?? '');
  const plan = await planFound(config, from);
  const { subjects, contents } = plan;
  const digest = digestOf('keys-found', plan);
  const asked = given.text('apply');
  const counts = { subjects: subjects.length, contents: contents.length };
  if (asked === undefined) {
    const again = `npx factory keys found --from ${shellWord(given.text('from') ?? '')} --apply ${digest}`;
    const text = [
      `${from} has the keys of ${plural(counts.subjects, 'subject')} and ${plural(counts.contents, 'content key')} that are not here.`,
      'What was sealed with them can be read again; what was deleted or erased meanwhile cannot.',
      `Nothing was changed yet. Stop the service, then: ${again}`,
    ].join('\n');
    return { json: { plan: { ...counts, digest } }, text };
  }
  if (asked !== digest) throw planOutdated('take in found keys', asked, 'keys found --from FOLDER');
  const renamed = await takeIn(config, from, plan, systemClock.iso());
  const lines = [
    `Took in the keys of ${plural(counts.subjects, 'subject')} and ${plural(counts.contents, 'content key')}.`,
    ...renamed.map(
      ({ name }) => `A name was in use again meanwhile; the subject of before is called "${name}" now.`,
    ),
    'Next: npm start, npx factory search rebuild, npx factory backup.',
  ];
  return { json: { applied: { ...counts, renamed } }, text: lines.join('\n') };
};
