import { FactoryError } from '../errors.ts';
import { ELIGIBLE_LANES } from './actions.ts';
import { isMover } from './lanes.ts';
import {
  GATE_IDENTITIES,
  type ActionIdentity,
  type GateIdentity,
  type GatePack,
  type Policy,
} from './types.ts';

export type PackedGate = { gate: GateIdentity; mode: 'block' | 'warn' };

const block = (...gates: GateIdentity[]): PackedGate[] => gates.map((gate) => ({ gate, mode: 'block' }));
const warn = (...gates: GateIdentity[]): PackedGate[] => gates.map((gate) => ({ gate, mode: 'warn' }));

/** The gates of the reference pages. */
export const BASELINE: GatePack = {
  name: 'baseline',
  actions: {
    'start-execution': block('lane-transition'),
    'request-review': block('lane-transition'),
    'prepare-release': block('lane-eligibility', 'pull-request'),
    'record-history': block('context-visibility'),
    'mark-ready': block('lane-transition'),
    claim: block('lane-transition'),
    'release-handoff': block('lane-transition'),
    'request-changes': block('lane-transition'),
    complete: block('lane-transition', 'pull-request'),
    cancel: block('lane-transition'),
    'submit-evidence': block('lane-eligibility'),
    approve: block('lane-eligibility'),
    'waive-criterion': block('lane-eligibility'),
    'override-gate': block('lane-eligibility'),
  },
};

/** Every gate; what passed counts only from a forge or a pipeline, a criterion also as an independent reviewer attests it. */
export const STRICT: GatePack = {
  name: 'strict',
  validationTrust: ['forge', 'ci'],
  actions: {
    'start-execution': [
      ...block('lane-transition', 'prompt-context', 'truth-fresh', 'drift-free', 'single-handoff'),
      ...warn('dependencies', 'capacity'),
    ],
    'request-review': [
      ...block('lane-transition', 'truth-fresh', 'drift-free', 'lease-held', 'validation-evidence'),
      ...warn('validation-script-unchanged'),
    ],
    'prepare-release': block('lane-eligibility', 'pull-request', 'drift-free', 'window'),
    'record-history': block('context-visibility'),
    'mark-ready': block('lane-transition', 'truth-fresh'),
    claim: block('lane-transition', 'prompt-context', 'dependencies', 'truth-fresh', 'capacity'),
    'release-handoff': block('lane-transition', 'truth-fresh'),
    'request-changes': block('lane-transition', 'truth-fresh'),
    complete: [
      ...block('lane-transition', 'pull-request', 'truth-fresh', 'drift-free', 'validation-evidence'),
      ...block('validation-script-unchanged', 'criteria-met', 'independent-review', 'window'),
    ],
    cancel: block('lane-transition', 'truth-fresh'),
    'submit-evidence': block('lane-eligibility', 'lease-held'),
    approve: block('lane-eligibility', 'independent-review'),
    'waive-criterion': block('lane-eligibility'),
    'override-gate': block('lane-eligibility'),
  },
};

export const BUILT_IN_PACKS: Readonly<Record<string, GatePack>> = { baseline: BASELINE, strict: STRICT };

/** These keep the lane machine whole: every pack has them, and neither a pack nor an override can turn them. */
export const LANE_GATES: readonly GateIdentity[] = ['lane-transition', 'lane-eligibility'];

/** The project's pack. Throws `gate-pack-unknown` where the policy names one that does not exist. */
export function packOf(policy: Policy): GatePack {
  const packs = { ...BUILT_IN_PACKS, ...policy.packs };
  const pack = Object.hasOwn(packs, policy.gatePack) ? packs[policy.gatePack] : undefined;
  if (pack) return pack;
  throw new FactoryError({
    code: 'gate-pack-unknown',
    op: 'evaluate gates',
    target: policy.gatePack,
    message: `The policy names gate pack ${policy.gatePack}, which does not exist.`,
    hint: `Set gatePack to one of: ${Object.keys(packs).join(', ')}.`,
  });
}

/** The gates of an action under a policy, in the order of `GATE_IDENTITIES`, its lane gate included. */
export function gatesOf(action: ActionIdentity, policy: Policy): PackedGate[] {
  const packed = packOf(policy).actions[action] ?? [];
  const lane = laneGateOf(action);
  const others = packed.filter(({ gate }) => !LANE_GATES.includes(gate));
  const gates = lane === null ? others : [...block(lane), ...others];
  return gates.sort((a, b) => GATE_IDENTITIES.indexOf(a.gate) - GATE_IDENTITIES.indexOf(b.gate));
}

export function isHard(gate: GateIdentity, policy: Policy): boolean {
  return LANE_GATES.includes(gate) || policy.hard.includes(gate);
}

function laneGateOf(action: ActionIdentity): GateIdentity | null {
  if (isMover(action)) return 'lane-transition';
  return ELIGIBLE_LANES[action] ? 'lane-eligibility' : null;
}
