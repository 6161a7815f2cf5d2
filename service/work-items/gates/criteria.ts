import { packOf } from '../packs.ts';
import type {
  ActionIdentity,
  Actor,
  Evidence,
  Facts,
  GatePack,
  GateResult,
  Policy,
  Waiver,
} from '../types.ts';
import { awaitedHead, headCommit, namingHead } from './head.ts';
import { authorsOf, countsFrom, mayAttest, nameOf, reviewersBut } from './people.ts';
import {
  afterChange,
  afterTime,
  awaited,
  blocked,
  byAction,
  byUrl,
  itemFact,
  pass,
  retry,
  type Gate,
} from './result.ts';
import { fallOfEvidence } from './standing.ts';
import { ANY_COMMIT, PRODUCERS, submission } from './trust.ts';
import { either, shortSha } from './words.ts';

/** Passes where each criterion is met: by the newest of the results that count, or by a waiver that counts. */
export const criteriaMet: Gate = (facts, action, policy, _principal, now) => {
  const { criteria } = facts.item.record;
  const judging = judgingOf(facts, policy, now);
  const open = criteria.flatMap((text, index) => {
    const found = standingOf(text, judging);
    return found === 'met' ? [] : [{ number: index + 1, ...found }];
  });
  const shown = [
    itemFact(facts, 'head', judging.head),
    itemFact(facts, 'criteria.met', criteria.length - open.length),
  ];
  if (open.length === 0) {
    return pass('criteria-met', `${criteria.length} of ${criteria.length} criteria are met or waived.`, {
      facts: shown,
    });
  }
  return notMet(open, criteria.length, action, judging, shown);
};

/** What a criterion is judged by. */
interface Judging {
  facts: Facts;
  policy: Policy;
  pack: GatePack;
  authors: ReadonlySet<string>;
  head: string | null;
  now: string;
}

/** A criterion that is not met: why what was given does not count, and when something of it will. */
interface Open {
  because: string[];
  from: string | null;
}

type Counting = { from: string } | { because: string };

function judgingOf(facts: Facts, policy: Policy, now: string): Judging {
  const [authors, head] = [authorsOf(facts.item), headCommit(facts)];
  return { facts, policy, pack: packOf(policy), authors, head, now };
}

/** Results and waivers go by the criterion's text: an edited criterion has neither. */
function standingOf(text: string, judging: Judging): 'met' | Open {
  const { item } = judging.facts;
  const given = item.evidence
    .filter((one) => one.kind === 'criterion' && one.criterionText === text)
    .map((one) => ({ one, counting: resultCounts(one, judging) }));
  const counting = given.flatMap(({ one, counting }) => ('from' in counting ? [{ one, ...counting }] : []));
  const newest = counting.findLast(({ from }) => isPast(from, judging));
  if (newest?.one.result === 'passed') return 'met';
  const waivers = item.waivers
    .filter((waiver) => waiver.criterionText === text)
    .map((waiver) => waiverCounts(waiver, judging));
  const times = waivers.flatMap((one) => ('from' in one ? [one.from] : []));
  if (times.some((from) => isPast(from, judging))) return 'met';
  const later = newest ? counting.slice(counting.indexOf(newest) + 1) : counting;
  const [from = null] = [...later.map((one) => one.from), ...times].sort(byTime);
  const last = given.findLast(({ one }) => one.result === 'passed')?.counting;
  const failed = newest && `its newest result that counts is failed, from ${producerOf(newest.one, judging)}`;
  const uncounted = last && 'because' in last ? last.because : undefined;
  const waived = waivers.findLast((one) => 'because' in one);
  const waivedInVain = waived && 'because' in waived ? waived.because : undefined;
  return { from, because: [failed, uncounted, waivedInVain].filter((one) => one !== undefined) };
}

/**
 * A result counts at the head commit alone, and from whom the pack trusts. Where the pack trusts few, a reviewer who
 * did not work on the item may attest a criterion too; alone in the solo preset, with a note and after the waiting
 * time. What people and agents say falls as all that people say about a commit does.
 */
function resultCounts(one: Evidence, judging: Judging): Counting {
  const { facts, head, pack, now } = judging;
  const [who, commit] = [producerOf(one, judging), one.commit];
  const its = `its result from ${who}`;
  if (commit === null)
    return { because: `${its} names no commit, so that it shows nothing of the head commit` };
  const fell = one.trust === 'forge' || one.trust === 'ci' ? null : fallOfEvidence(facts, one);
  if (fell !== null) return { because: `${its} for ${shortSha(commit)} ${fell}` };
  if (commit !== head) return { because: `${its} is of ${shortSha(commit)}, which is not the head commit` };
  if (pack.validationTrust?.includes(one.trust) ?? true) return { from: now };
  const word = `its result is only the word of ${who}`;
  if (one.trust !== 'person') return { because: word };
  if (!mayAttest(one.producer)) return { because: `${word}, who is no reviewer` };
  const from = timeOf({ by: one.producer, at: one.at }, judging);
  if (from === null) return { because: `${word}, who worked on this item` };
  // A failure is no claim of one's own that should wait.
  if (from === now || one.result === 'failed') return { from: now };
  return one.note === null ? { because: `${word}, who worked on this item, and has no note` } : { from };
}

function waiverCounts(waiver: Waiver, judging: Judging): Counting {
  const from = timeOf(waiver, judging);
  if (from !== null) return { from };
  const who = nameOf(waiver.by.personId, judging.facts);
  return { because: `${who}, who waived it, worked on this item, so that the waiver does not count` };
}

/** When a person's act counts that needs somebody who did not work on the item; now: at once; null: never. */
function timeOf(act: { by: Actor; at: string }, { authors, facts, policy, now }: Judging): string | null {
  const from = countsFrom(act, authors, facts.preset, policy.soloWaitSeconds);
  return from === act.at ? now : from;
}

function notMet(
  open: (Open & { number: number })[],
  count: number,
  action: ActionIdentity,
  judging: Judging,
  shown: GateResult['facts'],
): GateResult {
  const list = open.map(({ number }) => number).join(', ');
  const waits = open.flatMap(({ from }) => (from === null ? [] : [from])).sort(byTime);
  const lacking = open.filter(({ from }) => from === null).map(({ number }) => number);
  const last = lacking.length === 0 ? waits.at(-1) : undefined;
  const { text, unblock } = waysOut(lacking, judging);
  return blocked('criteria-met', {
    code: last === undefined ? 'criteria-lacking' : 'criteria-waiting',
    cause: `${open.length} of ${count} criteria lack evidence: ${list}.${reasons(open)}`,
    policyContext: `Done means shown, not said.${policyOf(judging.pack)}`,
    nextStep: last === undefined ? text : `Wait until ${last}: what is given counts from then.`,
    safeRetry:
      last === undefined
        ? criteriaRetry(open, action, judging)
        : afterTime(retry(judging.facts, action, `after ${last}`), last, judging.now),
    params: { lacking: open.map(({ number }) => number), count, head: judging.head },
    facts: shown,
    unblock,
  });
}

/** A sentence for each reason with the criteria that it holds for. */
function reasons(open: (Open & { number: number })[]): string {
  const numbers = new Map<string, number[]>();
  for (const { number, because, from } of open) {
    const all = from === null ? because : [`what is given counts from ${from}`];
    for (const reason of all) numbers.set(reason, [...(numbers.get(reason) ?? []), number]);
  }
  return [...numbers].map(([reason, of]) => ` ${of.join(', ')}: ${reason}.`).join('');
}

function policyOf({ validationTrust: trust }: GatePack): string {
  const whose = trust
    ? ` if it comes from ${either(trust)}, or from a reviewer who did not work on the item`
    : '';
  return ` A result counts for the head commit alone${whose}.`;
}

/** Who can show or waive the criteria so that it counts, with ways that are open in this preset. */
function waysOut(
  lacking: readonly number[],
  { facts, authors, head, pack }: Judging,
): { text: string; unblock: GateResult['unblock'] } {
  const list = lacking.join(', ');
  const eligible = reviewersBut(authors, facts);
  const alone = eligible.length === 0 && facts.preset === 'solo';
  const { how, unblock } = submission(pack);
  const people =
    eligible.length > 0 ? `as ${either(eligible)}` : 'yourself with a note and wait the waiting time';
  const or = how !== '' && (eligible.length > 0 || alone) ? `, or ${people}` : '';
  const submit = `Submit a passed result for ${list} at ${head ?? ANY_COMMIT} by Submit evidence, kind criterion${how}${or}`;
  const waive = alone
    ? 'waive it yourself with Waive criterion and wait the waiting time'
    : eligible.length > 0
      ? `ask ${either(eligible)} to waive it with Waive criterion`
      : 'invite a reviewer who did not work on this item, to waive it with Waive criterion';
  const person =
    eligible.length > 0 || alone ? byAction('waive-criterion') : byUrl('/people', 'factory.people.manage');
  const naming = namingHead(facts);
  return { text: `${naming.text}${submit}; or ${waive}.`, unblock: [...naming.unblock, ...unblock, person] };
}

/** A result from somebody else also makes met what waits for its time. */
function criteriaRetry(
  open: readonly { number: number }[],
  action: ActionIdentity,
  { facts }: Judging,
): NonNullable<GateResult['recovery']>['safeRetry'] {
  const [first, ...rest] = open.map(({ number }) =>
    awaited('evidence', `criteria.${number}.passedOnHead`, true),
  );
  const when = 'once each criterion has evidence that counts, or a waiver that does';
  return afterChange(retry(facts, action, when), ...(first ? [first] : []), ...awaitedHead(facts), ...rest);
}

/** `Ann` for herself, `Ann's agent` for a token. */
function producerOf({ producer, trust }: Evidence, { facts }: Judging): string {
  const name = nameOf(producer.personId, facts);
  return trust === 'person' ? name : `${PRODUCERS[trust]} of ${name}`;
}

const isPast = (time: string, { now }: Judging) => Date.parse(time) <= Date.parse(now);
const byTime = (a: string, b: string) => Date.parse(a) - Date.parse(b);
