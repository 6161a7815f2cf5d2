import { describe, expect, it } from 'vitest';
import type { Evidence, Facts, Principal, WorkItem } from '../../service/work-items/types.ts';
import {
  actor,
  AGENT,
  ANN,
  BEN,
  criterionEvidence,
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
  person,
  PIPELINE,
  policyOf,
  token,
  told,
} from './gates.fixtures.ts';

const OTHER = 'b'.repeat(40);
/** Cy queued it and Cy's agent executed it. */
const item = itemOf('review', { handoff: handoffOf('submitted') });
const validated = evidenceOf('validation', { producer: actor(PIPELINE), trust: 'ci' });

const waiver = (principal: Principal, at = EARLIER) => ({
  criterion: 1,
  criterionText: 'It is documented.',
  reason: 'Not needed.',
  by: actor(principal),
  at,
});
const having = (fields: Partial<WorkItem>, more: Partial<Facts> = {}) =>
  factsOf({ ...item, ...fields }, more);
const shown = (index: number, fields: Partial<Evidence> = {}) => criterionEvidence(item, index, fields);

const by = (principal: Principal, trust: Evidence['trust']) => ({ producer: actor(principal), trust });
const byAgent = by(AGENT, 'agent');
const byPipeline = by(PIPELINE, 'ci');
const OWNER_CY = person('p-cy', 'owner');

/** The first criterion with these results at the validated head, the second met. */
const first = (results: Partial<Evidence>[], more: Partial<Facts> = {}) =>
  having({ evidence: [validated, shown(1), ...results.map((fields) => shown(0, fields))] }, more);
const complete = (facts: Facts, pack = 'strict') =>
  gate('criteria-met', 'complete', facts, { policy: policyOf(pack, OWN) });
const OWN = { packs: { anybody: { name: 'anybody', actions: {} } } };
const alone: Partial<Facts> = { preset: 'solo', people: [{ id: 'p-cy', name: 'Cy', roles: ['owner'] }] };

describe('criteria-met', () => {
  it('names the criteria that lack evidence, and who can give it', () => {
    expect(told(complete(having({ evidence: [shown(1)] })))).toEqual([
      'blocked',
      'criteria-lacking',
      '1 of 2 criteria lack evidence: 1.',
      'Done means shown, not said. A result counts for the head commit alone if it comes from forge or ci, or from a ' +
        'reviewer who did not work on the item.',
      `Submit a passed result for 1 at ${HEAD} by Submit evidence, kind criterion with a token of role ci ` +
        '(`npx factory token create --name NAME --role ci`), or as Ann or Ben; or ask Ann or Ben to waive it with ' +
        'Waive criterion.',
      'Retry Complete on this review item once each criterion has evidence that counts, or a waiver that does.',
      'after-change',
    ]);
  });

  it.each<[string, Partial<Evidence>[], Partial<Facts>]>([
    ['a reviewer who did not work on it', [{}], {}],
    ['a pipeline', [byPipeline], {}],
    ['a forge', [{ ...byPipeline, trust: 'forge' }], {}],
    [
      'a pipeline, though the clock was set back since',
      [{ ...byPipeline, at: '2026-03-01T13:00:00.000Z' }],
      {},
    ],
    ['a reviewer, though an agent says otherwise', [{}, { ...byAgent, result: 'failed' }], {}],
    [
      'the only person, with a note, after the waiting time',
      [{ ...by(OWNER_CY, 'person'), note: 'Ran it.' }],
      alone,
    ],
    ['a reviewer after a failure', [{ ...byPipeline, result: 'failed' }, {}], {}],
  ])('counts a result of the head commit from %s', (_name, results, more) => {
    expect(complete(first(results, more)).verdict).toBe('pass');
  });

  it.each<[string, Partial<Evidence>[], Partial<Facts>, string]>([
    ['of the agent that executed it', [byAgent], {}, 'its result is only the word of an agent of Cy'],
    [
      'of another agent',
      [by(token('t-other', 'p-ann', 'agent'), 'agent')],
      {},
      'its result is only the word of an agent of Ann',
    ],
    [
      'of an author, reviewer or not',
      [by(OWNER_CY, 'person')],
      {},
      'its result is only the word of Cy, who worked on this item',
    ],
    [
      'of a person who is no reviewer',
      [by(person('p-ann', 'agent'), 'person')],
      {},
      'its result is only the word of Ann, who is no reviewer',
    ],
    [
      'without a commit',
      [{ ...byPipeline, commit: null }],
      {},
      'its result from a pipeline of Cy names no commit, so that it shows nothing of the head commit',
    ],
    [
      'of the only person without a note',
      [by(OWNER_CY, 'person')],
      alone,
      'its result is only the word of Cy, who worked on this item, and has no note',
    ],
    [
      'that failed since',
      [byPipeline, { result: 'failed' }],
      {},
      'its newest result that counts is failed, from Ben',
    ],
  ])('does not count a result %s, and says so', (_name, results, more, because) => {
    expect(complete(first(results, more))).toMatchObject({
      verdict: 'blocked',
      code: 'criteria-lacking',
      reason: `1 of 2 criteria lack evidence: 1. 1: ${because}.`,
    });
  });

  it('counts a result of a pipeline for its commit alone, whatever is reported between', () => {
    const evidence = [shown(0, byPipeline), shown(1, byPipeline)];
    const away = [...evidence, evidenceOf('validation', { ...byPipeline, commit: OTHER })];
    expect(complete(having({ evidence })).verdict).toBe('pass');
    expect(complete(having({ evidence: away })).reason).toBe(
      '2 of 2 criteria lack evidence: 1, 2. ' +
        '1, 2: its result from a pipeline of Cy is of aaaaaaaaaaaa, which is not the head commit.',
    );
    expect(complete(having({ evidence: [...away, validated] })).verdict).toBe('pass');
  });

  it('lets what a reviewer said fall with another commit and with its round', () => {
    const evidence = [shown(0), shown(1, byPipeline)];
    const away = evidenceOf('validation', { ...byPipeline, commit: OTHER });
    expect(complete(having({ evidence: [...evidence, away, validated] })).reason).toBe(
      '1 of 2 criteria lack evidence: 1. ' +
        '1: its result from Ben for aaaaaaaaaaaa fell when bbbbbbbbbbbb was reported.',
    );
    const handoff = handoffOf('submitted', { evidenceFrom: 2 });
    expect(complete(having({ evidence: [...evidence, validated], handoff })).reason).toBe(
      '1 of 2 criteria lack evidence: 1. ' +
        '1: its result from Ben for aaaaaaaaaaaa was given in an earlier round of work.',
    );
  });

  it('goes by the head of the branch where a forge names one', () => {
    const evidence = [shown(0, byPipeline), shown(1, byPipeline)];
    expect(complete(having({ evidence }, { forge: forgeOf() })).verdict).toBe('pass');
    expect(complete(having({ evidence }, { forge: forgeOf({ branchHead: OTHER }) })).verdict).toBe('blocked');
  });

  it('counts results of anybody for the head commit in a pack that trusts anybody', () => {
    expect(complete(first([byAgent]), 'anybody').verdict).toBe('pass');
    const result = complete(first([{ ...byAgent, commit: null }]), 'anybody');
    expect(result.reason).toContain('names no commit');
    expect(result.recovery?.policyContext).toBe(
      'Done means shown, not said. A result counts for the head commit alone.',
    );
    expect(result.recovery?.nextStep).toContain(`at ${HEAD} by Submit evidence, kind criterion; or ask Ann`);
  });

  it.each<[string, Facts, string, string]>([
    ['both met', having({ evidence: [shown(0), shown(1)] }), 'pass', 'ok'],
    ['none required', factsOf(itemOf('review', {}, { criteria: [] })), 'pass', 'ok'],
    [
      'evidence for a text that was edited',
      having({ evidence: [shown(0, { criterionText: 'It worked.' }), shown(1)] }),
      'blocked',
      'criteria-lacking',
    ],
    ['waived by another person', having({ evidence: [shown(0)], waivers: [waiver(BEN)] }), 'pass', 'ok'],
    [
      'waived by an author',
      having({ evidence: [shown(0)], waivers: [waiver(CY)] }),
      'blocked',
      'criteria-lacking',
    ],
    [
      'waived by an author, then by another person',
      having({ evidence: [shown(0)], waivers: [waiver(CY), waiver(ANN)] }),
      'pass',
      'ok',
    ],
    [
      'waived by the only person, long ago',
      having({ evidence: [shown(0)], waivers: [waiver(CY)] }, { preset: 'solo' }),
      'pass',
      'ok',
    ],
    [
      'waived by the only person, just now',
      having({ evidence: [shown(0)], waivers: [waiver(CY, NOW)] }, { preset: 'solo' }),
      'blocked',
      'criteria-waiting',
    ],
    [
      'shown by the only person, just now',
      first([{ ...by(OWNER_CY, 'person'), note: 'Ran it.', at: NOW }], alone),
      'blocked',
      'criteria-waiting',
    ],
  ])('%s', (_name, facts, verdict, code) => {
    expect(complete(facts)).toMatchObject({ verdict, code });
  });

  it('says whose waiver does not count, and who can give one that does', () => {
    const { reason, recovery } = complete(having({ evidence: [shown(0)], waivers: [waiver(CY)] }));
    expect(reason).toBe(
      '1 of 2 criteria lack evidence: 2. ' +
        '2: Cy, who waived it, worked on this item, so that the waiver does not count.',
    );
    expect(recovery?.nextStep).toContain('ask Ann or Ben to waive it with Waive criterion.');
  });

  it('gives the time after which what the only person gave counts', () => {
    const facts = having({ evidence: [shown(0)], waivers: [waiver(CY, NOW)] }, { preset: 'solo' });
    expect(complete(facts)).toMatchObject({
      reason: '1 of 2 criteria lack evidence: 2. 2: what is given counts from 2026-03-01T12:10:00.000Z.',
      recovery: {
        nextStep: 'Wait until 2026-03-01T12:10:00.000Z: what is given counts from then.',
        safeRetry: { mode: 'after-time', afterSeconds: 600 },
      },
    });
  });

  it('leaves one person a way, and a team without a reviewer too', () => {
    expect(complete(first([], alone)).recovery?.nextStep).toContain(
      ', or yourself with a note and wait the waiting time; or waive it yourself with Waive criterion and wait the waiting time.',
    );
    const { recovery, unblock } = complete(first([], { ...alone, preset: 'team' }));
    expect(recovery?.nextStep).toContain('; or invite a reviewer who did not work on this item');
    expect(unblock).toContainEqual({ url: '/people', permission: 'factory.people.manage' });
  });
});
