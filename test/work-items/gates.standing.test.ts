import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInput, type ActionInput } from '../../service/work-items/actions-input.ts';
import { decide } from '../../service/work-items/decide.ts';
import { headCommit } from '../../service/work-items/gates/head.ts';
import { authorsOf } from '../../service/work-items/gates/people.ts';
import { evolve } from '../../service/work-items/projection.ts';
import type { ActionIdentity, Facts, Principal, WorkItem } from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  ANN,
  BEFORE,
  BEN,
  CY,
  EARLIER,
  evidenceOf,
  factsOf,
  forgeOf,
  gate,
  handoffOf,
  HEAD,
  itemOf,
  NOW,
  PIPELINE,
  policyOf,
  queueOf,
} from './gates.fixtures.ts';

const OTHER = 'b'.repeat(40);
const policy = policyOf('strict');

/** One applied action a second, as the service folds them. */
function act(item: WorkItem, action: ActionIdentity, raw: unknown, principal: Principal): WorkItem {
  const facts = factsOf(item);
  const at = new Date(Date.parse(EARLIER) + item.version * 1000).toISOString();
  const input: ActionInput = parseInput(action, raw, { facts, policy, principal, now: at });
  const ids = { id: () => `id-${item.version}` };
  const envelope = { seq: item.version + 1, projectId: 'main', version: item.version + 1, at };
  return decide(action, input, facts, principal, ids, at).events.reduce(
    (folded, event) => evolve(folded, { ...envelope, actor: actor(principal), event }),
    item,
  );
}

const report = (item: WorkItem, commit: string, principal = PIPELINE) =>
  act(item, 'submit-evidence', { kind: 'validation', commit, result: 'passed' }, principal);
const attest = (item: WorkItem) =>
  act(item, 'submit-evidence', { kind: 'attestation', result: 'passed' }, BEN);
const approve = (item: WorkItem) => act(item, 'approve', {}, BEN);

/** In review with commit HEAD validated. */
function inReview(): WorkItem {
  const started = act(itemOf('ready'), 'start-execution', {}, CY);
  const claimed = act(started, 'claim', {}, AGENT);
  return act(report(claimed, HEAD), 'request-review', {}, AGENT);
}

/** Rejected, claimed again and brought to review with the same commit. */
function rejected(item: WorkItem): WorkItem {
  const claimed = act(act(item, 'request-changes', {}, ANN), 'claim', {}, AGENT);
  return act(report(claimed, HEAD), 'request-review', {}, AGENT);
}

describe('who worked on an item', () => {
  const authors = (item: WorkItem) => [...authorsOf(item)];

  it('is who queued it and whose agent executed it, but not who only sent it back', () => {
    expect(authors(inReview())).toEqual(['p-cy']);
    const again = rejected(inReview());
    expect(again.pastHandoffs.at(-1)?.state).toBe('rejected');
    expect(again.handoff?.queuedBy?.personId).toBe('p-ann');
    expect(authors(again)).toEqual(['p-cy']);
    expect(gate('independent-review', 'approve', factsOf(again), { principal: ANN }).verdict).toBe('pass');
    expect(verdicts(approve(attest(again)))).toEqual(['pass', 'pass']);
  });

  it('is whoever claims or starts what they sent back, too', () => {
    const sentBack = act(inReview(), 'request-changes', {}, ANN);
    expect(authors(act(sentBack, 'claim', {}, ANN))).toEqual(['p-cy', 'p-ann']);
    const freed = act(act(sentBack, 'claim', {}, AGENT), 'release-handoff', {}, AGENT);
    expect(authors(act(freed, 'start-execution', {}, ANN))).toEqual(['p-cy', 'p-ann']);
  });

  it('is nobody yet where an imported item is sent back without a handoff', () => {
    const sentBack = act(itemOf('review'), 'request-changes', {}, ANN);
    expect(authors(sentBack)).toEqual([]);
    expect(authors(act(sentBack, 'claim', {}, AGENT))).toEqual(['p-cy']);
  });
});

const complete = (name: 'independent-review' | 'pull-request', item: WorkItem, more: Partial<Facts> = {}) =>
  gate(name, 'complete', factsOf(item, more));
const verdicts = (item: WorkItem) =>
  (['independent-review', 'pull-request'] as const).map((name) => complete(name, item).verdict);

describe('what a person said about a commit', () => {
  it('stands in its round until another commit is reported', () => {
    const judged = approve(attest(inReview()));
    expect(verdicts(judged)).toEqual(['pass', 'pass']);
    expect(verdicts(report(judged, HEAD))).toEqual(['pass', 'pass']);
    expect(verdicts(report(judged, HEAD.slice(0, 12)))).toEqual(['pass', 'pass']);
  });

  it('falls with its round, though the commit is reported again, and can be said again', () => {
    const again = rejected(approve(attest(inReview())));
    expect(headCommit(factsOf(again))).toBe(HEAD);
    expect(complete('independent-review', again)).toMatchObject({
      verdict: 'blocked',
      code: 'not-approved',
      reason:
        'Cy worked on this item. Nobody else has approved aaaaaaaaaaaa. ' +
        "Ben's approval of aaaaaaaaaaaa was given in an earlier round of work.",
    });
    expect(complete('pull-request', again)).toMatchObject({
      verdict: 'blocked',
      code: 'attestation-fallen',
      reason:
        'No pull request is linked; no forge is connected and ' +
        "Ben's attestation of aaaaaaaaaaaa was given in an earlier round of work.",
    });
    expect(gate('validation-evidence', 'complete', factsOf(again)).verdict).toBe('pass');
    expect(verdicts(approve(attest(again)))).toEqual(['pass', 'pass']);
  });

  it('stays fallen after another commit when the first is reported again', () => {
    const judged = approve(attest(inReview()));
    const away = report(judged, OTHER);
    expect(verdicts(away)).toEqual(['blocked', 'blocked']);
    const back = report(away, HEAD);
    expect(complete('independent-review', back).reason).toContain(
      "Ben's approval of aaaaaaaaaaaa fell when bbbbbbbbbbbb was reported.",
    );
    expect(complete('pull-request', back).reason).toContain(
      "Ben's attestation of aaaaaaaaaaaa fell when bbbbbbbbbbbb was reported.",
    );
    for (const name of ['independent-review', 'pull-request'] as const) {
      expect(complete(name, back).recovery?.policyContext).toContain(
        "A person's word falls with its round of work and with another commit.",
      );
    }
    expect(verdicts(approve(attest(back)))).toEqual(['pass', 'pass']);
  });

  it.each<[string, string, 'pass' | 'blocked']>([
    ['before its round', BEFORE, 'blocked'],
    ['at the time at which its round began', EARLIER, 'blocked'],
    ['in its round', NOW, 'pass'],
  ])('as an approval given %s: %s', (_name, at, verdict) => {
    const approval = { by: actor(BEN), commit: HEAD, note: null, at };
    const item = itemOf('review', {
      handoff: handoffOf('submitted', { queuedAt: EARLIER }),
      evidence: [evidenceOf('validation', { at: EARLIER })],
      approvals: [approval],
    });
    expect(complete('independent-review', item).verdict).toBe(verdict);
  });

  it('belongs to the round that an adopted handoff goes on with', () => {
    const imported = approve(attest(report(itemOf('review'), HEAD)));
    expect(verdicts(imported)).toEqual(['pass', 'pass']);
    const adopted = act(imported, 'claim', {}, AGENT);
    expect(adopted.handoff).toMatchObject({ adopted: true, state: 'submitted' });
    expect(verdicts(adopted)).toEqual(['pass', 'pass']);
    expect(verdicts(rejected(adopted))).toEqual(['blocked', 'blocked']);
  });

  it('goes by the branch alone where a forge says what its head is, and falls with its round there too', () => {
    const forge = forgeOf();
    const judged = report(approve(inReview()), OTHER);
    expect(complete('independent-review', judged, { forge }).verdict).toBe('pass');
    expect(
      complete('independent-review', judged, { forge: forgeOf({ branchHead: OTHER }) }).reason,
    ).toContain("Ben's approval is of aaaaaaaaaaaa.");
    expect(complete('independent-review', rejected(judged), { forge }).verdict).toBe('blocked');
  });

  it('counts exactly while nothing happened since that it falls with, whatever the order of acts', () => {
    const acts = fc.array(fc.constantFrom('approve', 'attest', 'same', 'other', 'reject' as const), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(acts, (taken) => {
        let item = inReview();
        const stands = { approve: '', attest: '' };
        for (const one of taken) {
          const head = headCommit(factsOf(item)) ?? '';
          if (one === 'approve' || one === 'attest') stands[one] = head;
          if (one === 'reject' || one === (head === HEAD ? 'other' : 'same'))
            stands.approve = stands.attest = '';
          item = STEPS[one](item);
          const queue = queueOf(item);
          const [review, request] = (['independent-review', 'pull-request'] as const).map(
            (name) => complete(name, item, { queue }).verdict === 'pass',
          );
          expect({ taken, review, request }).toEqual({
            taken,
            review: stands.approve !== '',
            request: stands.attest !== '',
          });
        }
      }),
      { numRuns: 300, seed: Number(process.env.FC_SEED ?? 106) },
    );
  });

  const STEPS = {
    approve,
    attest,
    same: (item: WorkItem) => report(item, HEAD),
    other: (item: WorkItem) => report(item, OTHER, AGENT),
    reject: rejected,
  };
});
