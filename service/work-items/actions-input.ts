import { z } from 'zod';
import { headCommit, knownCommits } from './gates/head.ts';
import { secondable } from './gates/override.ts';
import { authorsOf, ownersBut } from './gates/people.ts';
import { either } from './gates/words.ts';
import { gatesOf, isHard } from './packs.ts';
import { text } from './texts.ts';
import {
  ACTION_IDENTITIES,
  GATE_IDENTITIES,
  type ActionIdentity,
  type Facts,
  type Policy,
  type Principal,
  type WorkItem,
} from './types.ts';

const note = text(4000).optional();
const noted = z.strictObject({ note });

/** A criterion by its number as people count, from 1, or by its exact text. */
const criterion = z.union([z.int().min(1), text(4000)]);

const commit = z
  .string()
  .regex(/^[0-9a-fA-F]{7,64}$/, 'Must be a commit id: 7 to 64 hexadecimal digits.')
  .toLowerCase();

const evidence = z
  .strictObject({
    kind: z.enum(['validation', 'criterion', 'attestation']),
    criterion: criterion.optional(),
    commit: commit.optional(),
    result: z.enum(['passed', 'failed']),
    scriptDigest: text(200).optional(),
    url: z
      .url({ protocol: /^https?$/ })
      .max(2000)
      .meta({ pattern: '^[Hh][Tt][Tt][Pp][Ss]?:' })
      .optional(),
    note,
  })
  .refine((input) => (input.kind === 'criterion') === (input.criterion !== undefined), {
    path: ['criterion'],
    message: 'Needed for kind criterion, and for no other kind.',
  });

const waiver = z.strictObject({ criterion, reason: text(4000) });

const override = z.strictObject({
  gate: z.enum(GATE_IDENTITIES),
  action: z.enum(ACTION_IDENTITIES),
  reason: text(4000),
  until: z.iso.datetime({ offset: true }),
});

/** The shape of each action's `input`; OpenAPI and forms are made from these. */
export const INPUT_SCHEMAS = {
  'start-execution': noted,
  'request-review': noted,
  'prepare-release': noted,
  'record-history': noted,
  'mark-ready': noted,
  claim: noted,
  'release-handoff': noted,
  'request-changes': noted,
  complete: noted,
  cancel: noted,
  reconcile: noted,
  'refresh-truth': noted,
  approve: noted,
  'submit-evidence': evidence,
  'waive-criterion': waiver,
  'override-gate': override,
} as const satisfies Record<ActionIdentity, z.ZodType>;

/** A criterion that the item has: its index from 0 and its text. */
export interface NamedCriterion {
  index: number;
  text: string;
}

type Noted = z.output<typeof noted>;
type NotedAction = Exclude<ActionIdentity, 'submit-evidence' | 'waive-criterion' | 'override-gate'>;

/** Inputs after checking, with criteria found and times in UTC. */
export type ActionInputs = Record<NotedAction, Noted> & {
  'submit-evidence': Omit<z.output<typeof evidence>, 'criterion'> & { criterion: NamedCriterion | null };
  'waive-criterion': { criterion: NamedCriterion; reason: string };
  'override-gate': z.output<typeof override>;
};

export type ActionInput = ActionInputs[ActionIdentity];

/** What input is checked against, beside its shape. `now` is ISO-8601 UTC. */
export interface InputContext {
  facts: Pick<Facts, 'item' | 'forge' | 'preset' | 'people'>;
  policy: Policy;
  principal: Principal;
  now: string;
}

/**
 * The input of an action, checked by itself and against the facts and the policy. Absent input is an empty one.
 * Throws a ZodError whose issues name the field, e.g. `["criterion"]`.
 */
export function parseInput<A extends ActionIdentity>(
  action: A,
  raw: unknown,
  context: InputContext,
): ActionInputs[A] {
  const parse: (raw: unknown, context: InputContext) => ActionInputs[A] = PARSERS[action];
  return parse(raw ?? {}, context);
}

const parseNoted = (raw: unknown): Noted => noted.parse(raw);

const PARSERS: { [A in ActionIdentity]: (raw: unknown, context: InputContext) => ActionInputs[A] } = {
  'start-execution': parseNoted,
  'request-review': parseNoted,
  'prepare-release': parseNoted,
  'record-history': parseNoted,
  'mark-ready': parseNoted,
  claim: parseNoted,
  'release-handoff': parseNoted,
  'request-changes': parseNoted,
  complete: parseNoted,
  cancel: parseNoted,
  reconcile: parseNoted,
  'refresh-truth': parseNoted,
  approve: parseApproval,
  'submit-evidence': parseEvidence,
  'waive-criterion': (raw, { facts }) => {
    const input = waiver.parse(raw);
    return { ...input, criterion: findCriterion(facts.item, input.criterion) };
  },
  'override-gate': parseOverride,
};

/** Where one person does both parts, a note stands for the second person. */
function parseApproval(raw: unknown, { facts, principal }: InputContext): Noted {
  const input = noted.parse(raw);
  const own = facts.preset === 'solo' && authorsOf(facts.item).has(principal.personId);
  if (own && input.note === undefined) {
    inputError('note', undefined, 'Needed to approve your own work in the solo preset.');
  }
  return input;
}

/** Evidence without a commit is about the head commit; only a criterion's can do without any. */
function parseEvidence(raw: unknown, { facts }: InputContext): ActionInputs['submit-evidence'] {
  const input = evidence.parse(raw);
  const commit = input.commit ? wholeCommit(input.commit, facts) : (headCommit(facts) ?? undefined);
  if (commit === undefined && input.kind !== 'criterion') {
    inputError(
      'commit',
      undefined,
      `Needed: no commit of this item is known yet, and ${input.kind} evidence binds to one.`,
    );
  }
  const found = input.criterion === undefined ? null : findCriterion(facts.item, input.criterion);
  return { ...input, commit, criterion: found };
}

/** Texts show commits short, so a short one means the commit of this item that it begins; another id stays as it is. */
function wholeCommit(given: string, facts: Pick<Facts, 'item' | 'forge'>): string {
  const begun = knownCommits(facts).filter((commit) => commit.startsWith(given));
  // A commit that was named short before it was named whole is one commit.
  const whole = begun.filter((one) => !begun.some((other) => other !== one && other.startsWith(one)));
  if (whole.length < 2) return whole[0] ?? given;
  return inputError(
    'commit',
    given,
    `It begins ${whole.length} commits of this item: ${either(whole)}; give more digits.`,
  );
}

function findCriterion(item: Pick<WorkItem, 'record'>, named: number | string): NamedCriterion {
  const { criteria } = item.record;
  const index = typeof named === 'number' ? named - 1 : criteria.indexOf(named);
  const found = criteria[index];
  if (found !== undefined) return { index, text: found };
  const range =
    criteria.length === 0 ? 'This item has no criteria.' : `This item has criteria 1 to ${criteria.length}.`;
  return inputError('criterion', named, `${range} Give a number or the exact text.`);
}

function parseOverride(raw: unknown, context: InputContext): ActionInputs['override-gate'] {
  const { policy, now } = context;
  const input = override.parse(raw);
  const { gate, action } = input;
  if (!gatesOf(action, policy).some((packed) => packed.gate === gate)) {
    inputError('gate', gate, `Gate ${gate} is none of ${action} in gate pack ${policy.gatePack}.`);
  }
  if (isHard(gate, policy)) inputError('gate', gate, `Gate ${gate} is hard: no override turns it.`);
  const until = new Date(input.until).toISOString();
  if (Date.parse(until) <= Date.parse(now)) inputError('until', input.until, 'Must be in the future.');
  const from = countsAlone(input, context);
  if (from !== null && Date.parse(until) <= Date.parse(from)) {
    inputError(
      'until',
      input.until,
      `Must be after ${from}: nobody else can ask for the same, and alone it counts only after the waiting time.`,
    );
  }
  return { ...input, until };
}

/** When an override counts at the earliest that nobody can second, and that seconds none; null: it needs no waiting. */
function countsAlone(
  input: Pick<ActionInputs['override-gate'], 'gate' | 'action'>,
  { facts, policy, principal, now }: InputContext,
): string | null {
  const { personId } = principal;
  if (facts.preset === 'team' || ownersBut(personId, facts).length > 0) return null;
  if (secondable(facts.item, input, personId, now)) return null;
  return new Date(Date.parse(now) + policy.soloWaitSeconds * 1000).toISOString();
}

/** A complaint about one field of the input, as zod itself makes them. */
export function inputError(field: string, input: unknown, message: string): never {
  throw new z.ZodError([{ code: 'custom', path: [field], message, input }]);
}
