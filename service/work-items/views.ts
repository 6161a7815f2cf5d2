import { basename } from 'node:path';
import type { ChangeActor } from '../audit/events.ts';
import { sameJson } from '../canonical-json.ts';
import { attentionLine } from './attention.ts';
import type { Conditions } from './conditions.ts';
import type {
  CriterionDocument,
  EvidenceDocument,
  HandoffDocument,
  ItemDocument,
  ItemSummary,
} from './documents.ts';
import { overrideState, reasonsOf, type OverrideRules } from './gates/override.ts';
import { guidance } from './guidance.ts';
import { deriveState } from './state.ts';
import type { Evidence, Handoff, Lane, Policy, QueueObservation, TruthReport, WorkItem } from './types.ts';

/** Documents from the projection and what is known around it; no I/O. */

export type Namer = (actor: ChangeActor | null) => string;

export interface Around {
  observation: QueueObservation | null;
  truth: TruthReport;
  policy: Policy;
  conditions: Conditions;
  preset: 'solo' | 'team';
  dependencies: { id: string; title: string | null; lane: Lane | null }[];
  supersededBy: string[];
  /** The work-items folder; paths are shown relative to its parent. */
  queueDir: string;
  name: Namer;
  now: string;
}

/** `BF-106` of `wi-BF-106`. */
export function keyOf(id: string): string {
  return id.replace(/^wi-/, '');
}

export function itemDocument(item: WorkItem, around: Around): ItemDocument {
  const { observation, truth, name } = around;
  const record = observation?.record ?? null;
  const state = deriveState(item, null);
  return {
    id: item.id,
    key: keyOf(item.id),
    title: item.record.title,
    summary: item.record.summary,
    lane: item.lane,
    workType: item.record.workType,
    source: record?.collection ?? item.record.collection,
    status: record?.fields.status ?? item.record.status,
    state: state.state,
    stateBasis: state.basis,
    branch: item.record.branch,
    validation: item.record.validation,
    pr: item.record.pr,
    criteria: criteria(item, name),
    queueTruth: queueTruth(truth, around.policy),
    guidance: guidance(item, truth, observation, around.policy, around.conditions),
    problems: observation?.problems ?? [],
    prompt: promptDocument(item, observation, around.queueDir),
    blockedBy: around.dependencies,
    supersedes: item.record.supersedes,
    supersededBy: around.supersededBy,
    handoff: item.handoff && handoffDocument(item.handoff, name),
    pastHandoffs: item.pastHandoffs.map((handoff) => handoffDocument(handoff, name)),
    evidence: item.evidence
      .filter((one) => one.kind !== 'criterion')
      .map((one) => evidenceDocument(one, name)),
    approvals: item.approvals.map(({ by, commit, note, at }) => ({ by: name(by), commit, note, at })),
    overrides: overrides(item, around),
    release: item.release && { ...item.release, by: name(item.release.by) },
    history: historyOf(item),
    origin: item.origin,
    createdAt: item.createdAt,
    updatedAt: item.updatedAt,
    version: item.version,
  };
}

function queueTruth(truth: TruthReport, policy: Policy): ItemDocument['queueTruth'] {
  const budgets = policy.freshness as Record<string, number>;
  return {
    freshness: truth.freshness,
    sources: truth.sources.map(({ source, freshness }) => ({
      source,
      ...freshness,
      budgetSeconds: budgets[source] ?? policy.freshness.queue,
    })),
    drift: truth.drift,
    notConnected: truth.notConnected,
    notComputed: truth.notComputed,
  };
}

function promptDocument(
  item: WorkItem,
  observation: QueueObservation | null,
  queueDir: string,
): ItemDocument['prompt'] {
  const prompt = observation?.prompt ?? null;
  return {
    path: `./${basename(queueDir)}/${prompt?.path ?? `prompts/${item.id}.prompt.md`}`,
    excerpt: prompt ? prompt.excerpt : null,
    missing: prompt === null,
  };
}

function overrides(item: WorkItem, { name, now, policy, preset }: Around): ItemDocument['overrides'] {
  return item.overrides.map((one) => ({
    id: one.id,
    gate: one.gate,
    action: one.action,
    reason: reasonsOf(one, one.secondedBy && name(one.secondedBy)),
    until: one.until,
    by: name(one.by),
    at: one.at,
    secondedBy: one.secondedBy && name(one.secondedBy),
    ...overrideState(one, { preset, soloWaitSeconds: policy.soloWaitSeconds, now }),
  }));
}

/** A later result for the same criterion counts; a waiver stands beside it. */
function criteria(item: WorkItem, name: Namer): CriterionDocument[] {
  return item.record.criteria.map((text, index) => {
    const evidence = item.evidence.filter(
      (one) => one.kind === 'criterion' && one.criterion === index && one.criterionText === text,
    );
    const waiver = item.waivers.find((one) => one.criterion === index && one.criterionText === text) ?? null;
    const last = evidence.at(-1);
    return {
      number: index + 1,
      text,
      status: last?.result === 'passed' ? 'met' : waiver ? 'waived' : last ? 'failed' : 'not-recorded',
      evidence: evidence.map((one) => evidenceDocument(one, name)),
      waiver: waiver && { reason: waiver.reason, by: name(waiver.by), at: waiver.at },
    };
  });
}

function evidenceDocument(evidence: Evidence, name: Namer): EvidenceDocument {
  const { id, kind, commit, result, scriptDigest, url, note, trust, at } = evidence;
  const criterion = evidence.criterion === null ? null : evidence.criterion + 1;
  return {
    id,
    kind,
    criterion,
    commit,
    result,
    scriptDigest,
    url,
    note,
    producer: name(evidence.producer),
    trust,
    at,
  };
}

function handoffDocument(handoff: Handoff, name: Namer): HandoffDocument {
  const { id, state, queuedAt, claimedAt, endedAt, adopted } = handoff;
  return {
    id,
    state,
    queuedBy: handoff.queuedBy && name(handoff.queuedBy),
    queuedAt,
    holder: handoff.holder && name(handoff.holder),
    claimedAt,
    endedAt,
    adopted,
  };
}

/** For lists and the board: no file is read, freshness relies on the watcher. */
export function itemSummary(
  item: WorkItem,
  observation: QueueObservation | null,
  truth: TruthReport,
  attentionKind: string | null,
  { rules, conditions }: { rules: OverrideRules; conditions: Conditions },
  name: Namer,
): ItemSummary {
  const record = observation?.record ?? null;
  const met = criteria(item, name).filter((one) => one.status === 'met' || one.status === 'waived').length;
  return {
    id: item.id,
    key: keyOf(item.id),
    title: item.record.title,
    summary: item.record.summary.slice(0, 300),
    lane: item.lane,
    workType: item.record.workType,
    source: record?.collection ?? item.record.collection,
    status: record?.fields.status ?? item.record.status,
    state: deriveState(item, null).state,
    pr: item.record.pr,
    criteria: { total: item.record.criteria.length, met },
    holder: item.handoff?.holder ? name(item.handoff.holder) : null,
    handoff: item.handoff && {
      state: item.handoff.state,
      since: item.handoff.claimedAt ?? item.handoff.queuedAt,
    },
    freshness: truth.freshness,
    drift: truth.drift,
    attention: attentionKind === null ? null : attentionLine(item, observation, truth, rules, conditions),
    version: item.version,
    updatedAt: item.updatedAt,
  };
}

/** Fields of a document that move with every action. */
const QUIET = new Set(['version', 'updatedAt', 'queueTruth', 'guidance']);

/** What an action changes of an item, field by field. `documentBefore` is made only where it is needed. */
export function itemDiff(
  before: WorkItem,
  after: WorkItem,
  documentBefore: () => ItemDocument,
  documentAfter: ItemDocument,
): { field: string; before: unknown; after: unknown }[] {
  const touched = (Object.keys(after) as (keyof WorkItem)[]).filter((name) => before[name] !== after[name]);
  if (touched.every((name) => QUIET.has(name))) return [];
  if (touched.every((name) => QUIET.has(name) || name === 'history')) {
    return [{ field: 'history', before: historyOf(before), after: historyOf(after) }];
  }
  const old = documentBefore();
  return (Object.keys(documentAfter) as (keyof ItemDocument)[]).flatMap((field) => {
    const [was, is] = [old[field], documentAfter[field]];
    return QUIET.has(field) || sameJson(was, is) ? [] : [{ field, before: was, after: is }];
  });
}

function historyOf({ history: { count, latest, at } }: WorkItem): ItemDocument['history'] {
  return { count, latest, at };
}
